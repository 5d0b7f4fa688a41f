import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../json.js';
import { asJson, type Plan, type PlanBody } from './plan.js';

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Hex sha256 of a value's canonical JSON. */
export const jsonHash = (value: Json): string => sha256Hex(canonicalJson(value));

/** Adds the version to a plan. */
export const seal = (body: PlanBody): Plan => ({ ...body, version: jsonHash(asJson(body)).slice(0, 12) });
