import type { z } from 'zod';
import type { ErrorRow } from '../../pipelines/errors.js';
import type { Plan } from '../../pipelines/index.js';

/** What the table of servers needs of a connector and of a preset. */
interface Described {
  readonly name: string;
  readonly kinds: ReadonlySet<string>;
  readonly servesKind?: (kind: string) => boolean;
  readonly capabilities: ReadonlySet<string>;
  readonly takesKey?: true;
}
interface Preset {
  readonly name: string;
  readonly title: string;
  readonly proof: string;
  readonly base: object;
  readonly kinds: Readonly<Record<string, object>>;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string;
export function renderErrors(
  errors: Readonly<Record<string, ErrorRow>>,
  advice: Readonly<Record<string, string>>,
): string;
export function renderCapabilities(
  connectors: ReadonlyMap<string, Described>,
  presets: ReadonlyMap<string, Preset>,
): string;
export function renderSettings(settingsSchema: (basePort?: number) => z.ZodObject): string;
export function withWarnings(page: string, warnings: Readonly<Record<string, string>>): string;
export function renderJson(value: unknown): string;
export function withPlan(page: string, plan: Plan): string;
