import type { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { AnswerShape, DEEPEST } from './answer-shape.js';

/** Shorter JSON takes little memory whatever it is. */
const SHORT = 1_024 * 1_024;

/**
 * The JSON in a server's bytes, in UTF-8. Throws `BACKEND_REJECTED` for JSON that would fill the memory.
 * @param wrong the error for text that is no JSON, or nested too deep: what it is
 */
export function parseJson(text: Uint8Array | string, wrong: (problem: string) => MillraceError): Json {
  if (text.length > SHORT) new AnswerShape().push(typeof text === 'string' ? Buffer.from(text) : text);
  let value: Json;
  try {
    value = JSON.parse(
      typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text),
    ) as Json;
  } catch {
    throw wrong('text is not JSON');
  }
  if (depth(value) > DEEPEST) throw wrong(`JSON is nested more than ${DEEPEST} deep`);
  return value;
}

/** Evaluates a JSON pointer (RFC 6901). Undefined where there is nothing, as for what objects and lists inherit. */
export function valueAt(value: Json | undefined, pointer: string): Json | undefined {
  let at = value;
  for (const token of tokensOf(pointer)) {
    if (typeof at !== 'object' || at === null) return undefined;
    if (Array.isArray(at) ? !/^(0|[1-9]\d{0,9})$/.test(token) : !Object.hasOwn(at, token)) return undefined;
    at = (at as JsonObject)[token];
  }
  return at;
}

/** The names that a pointer passes. */
export const tokensOf = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));

/**
 * Level by level: recursion would overflow on the very values that this refuses. Only objects and lists are kept: a vector
 * of numbers costs one pass over it.
 */
function depth(value: Json): number {
  let level = containersOf([value]);
  for (let deep = 0; ; deep++) {
    if (level.length === 0 || deep > DEEPEST) return deep;
    level = level.flatMap((each) => containersOf(Array.isArray(each) ? each : (Object.values(each) as Json[])));
  }
}

const containersOf = (values: readonly Json[]): (JsonObject | Json[])[] =>
  values.filter((each) => typeof each === 'object' && each !== null) as (JsonObject | Json[])[];
