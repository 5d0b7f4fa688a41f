import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { type ErrorCode, MillraceError, messageOf } from '../../../pipelines/errors.js';
import { notJson } from '../../../pipelines/json-limits.js';

/** Throws with a message that says what a connector has to do. */
export function expectThat(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message);
}

/** Throws naming the first part of a value that JSON would lose or change. */
export function expectJson(value: unknown, what: string): void {
  const wrong = notJson(value);
  if (wrong) throw new Error(`${what} must be plain JSON: ${wrong.field} ${wrong.message}`);
}

/** Throws with each field of the value that does not fit. */
export function expectFit(schema: z.ZodType, value: unknown, what: string): void {
  const { error } = schema.safeParse(value);
  const issues = (error?.issues ?? []).map(({ path, message }) => `${path.join('.') || '(whole)'}: ${message}`);
  expectThat(issues.length === 0, `${what} does not fit the schema of its kind: ${issues.join('; ')}`);
}

/** Throws unless the call rejects with a `MillraceError` of this code that names its endpoint. */
export async function expectCode(
  call: () => Promise<unknown>,
  code: ErrorCode,
  endpoint: string,
  what: string,
): Promise<void> {
  const error = await failureOf(call);
  if (error === undefined) throw new Error(`${what} must be rejected with ${code}, but it succeeded`);
  if (!(error instanceof MillraceError)) {
    const name = error instanceof Error ? error.name : typeof error;
    throw new Error(
      `${what} must be rejected with a MillraceError of code ${code}; it was rejected with ${name}: ${messageOf(error)}`,
    );
  }
  const { code: given, details, message } = error;
  expectThat(given === code, `${what} must be rejected with ${code}, not with ${given}: ${message}`);
  expectThat(
    details.endpoint === endpoint,
    `${what}: details.endpoint of the error must be "${endpoint}", not ${JSON.stringify(details.endpoint)}`,
  );
}

/** Throws unless the call rejects with exactly this value. */
export async function expectReason(call: () => Promise<unknown>, reason: unknown, what: string): Promise<void> {
  const error = await failureOf(call);
  if (error === reason) return;
  const how = error === undefined ? 'it succeeded' : `it was rejected with ${messageOf(error)}`;
  throw new Error(`${what} must be rejected with the reason of its signal; ${how}`);
}

/** Undefined if it succeeds. An error may be thrown instead of rejecting. */
async function failureOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error ?? new Error('a rejection without a reason');
  }
}

/** A machine may stand still during one measurement; what always takes long takes long in each. */
export const TRIES = 3;

/** The shortest time that `measure` gives, in milliseconds; the first one below `most` ends the tries. */
export async function shortest(most: number, measure: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && least >= most; tries++) least = Math.min(least, await measure());
  return Math.round(least);
}

/** Waits until `holds`. */
export async function eventually(holds: () => boolean | Promise<boolean>, ms: number, what: string): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    expectThat(performance.now() < end, `${what} within ${ms} ms`);
    await sleep(20);
  }
}
