import type { z } from 'zod';
import type { ErrorRow } from '../../pipelines/errors.js';
import type { Plan } from '../../pipelines/index.js';

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string;
export function renderErrors(
  errors: Readonly<Record<string, ErrorRow>>,
  advice: Readonly<Record<string, string>>,
): string;
export function renderSettings(settingsSchema: (basePort?: number) => z.ZodObject): string;
export function withWarnings(page: string, warnings: Readonly<Record<string, string>>): string;
export function renderJson(value: unknown): string;
export function withPlan(page: string, plan: Plan): string;
