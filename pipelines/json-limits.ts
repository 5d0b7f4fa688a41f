import { isJsonObject, type Json } from './json.js';

/*
 * What a run's history can hold: values that JSON represents fully, up to a size. No Node API and no zod, because the
 * interpreter uses it too.
 */

/**
 * Maximum size of one value as JSON, in bytes. Temporal rejects payloads above 2 MiB, for all arguments of a call
 * together; the rest is for data around the value.
 */
export const MOST_BYTES = 1_500_000;

/**
 * Maximum size of all arguments of a workflow together, and of its result, as JSON, in bytes: the limit of Temporal and its SDK (2 MiB), less what is
 * around them.
 */
export const MOST_PAYLOAD_BYTES = 2 * 1024 * 1024 - 64 * 1024;

/**
 * Values below this size, in bytes, are not counted where several may travel in one message of a workflow task, which Temporal limits to 4 MiB:
 * hundreds of calls begin or end at once.
 */
export const SMALL_BYTES = 4_000;

/** Maximum nesting: readers of a value are recursive. */
const DEEPEST = 500;

/** An invalid part of a value. `field`: its path, `items.3.price`; empty for the whole. */
export interface Misfit {
  readonly field: string;
  readonly message: string;
}

/**
 * The first part of a value that JSON would lose, change or reject. An undefined field of an object is valid: it is
 * absent.
 */
export function notJson(value: unknown): Misfit | undefined {
  const found = firstMisfit(value, []);
  return found && { field: found.path.reverse().join('.'), message: found.message };
}

/** `path`: from the inside out, so that it is built only if there is an error. */
interface Found {
  readonly path: string[];
  readonly message: string;
}

function firstMisfit(value: unknown, around: object[]): Found | undefined {
  const message = typeof value === 'object' && value !== null ? wrongObject(value, around) : wrongPrimitive(value);
  if (message !== undefined) return { path: [], message };
  if (typeof value !== 'object' || value === null) return undefined;
  around.push(value);
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    const part = (value as Record<string | number, unknown>)[key];
    if (part === undefined && typeof key === 'string') continue;
    const found = firstMisfit(part, around);
    if (!found) continue;
    found.path.push(String(key));
    return found;
  }
  around.pop();
  return undefined;
}

function wrongPrimitive(value: unknown): string | undefined {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? undefined : `is ${value}, which is not a number in JSON; use null or omit it`;
    case 'bigint':
      return 'is a BigInt, which JSON cannot represent; use a number or a string';
    case 'undefined':
      return 'is undefined, which JSON cannot represent; use null';
    case 'function':
    case 'symbol':
      return `is a ${typeof value}, which JSON cannot represent`;
    default:
      return undefined;
  }
}

function wrongObject(value: object, around: readonly object[]): string | undefined {
  if (around.includes(value)) return 'contains itself';
  if (around.length >= DEEPEST) return `is nested more than ${DEEPEST} levels deep`;
  if (Array.isArray(value)) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  // The prototype of a plain object of another realm has no prototype.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  const { name } = (prototype.constructor ?? {}) as { readonly name?: string };
  return `is a ${name || 'class instance'}, which JSON cannot represent; use a plain object, an array or a string`;
}

/** The error for a value larger than `most` bytes, naming the part responsible. */
export function tooLarge(value: Json, most = MOST_BYTES): Misfit | undefined {
  const bytes = bytesOf(value, most);
  if (bytes <= most) return undefined;
  const [field, largest] = largestIn(value, 0);
  const which = field === '' ? '' : `; "${field}" has ${largest} of them`;
  return { field, message: `has ${bytes} bytes as JSON, more than ${most}${which}` };
}

/** Bytes of a value as JSON; its characters if the bytes cannot exceed `enough`. */
export function bytesOf(value: Json, enough = 0): number {
  const text = JSON.stringify(value) ?? '';
  return text.length * 3 <= enough ? text.length : utf8Length(text);
}

/** Without `Buffer` and `TextEncoder`, which Temporal's sandbox may lack. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // The two units of a surrogate pair are four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** Path and size of the largest part above `least` bytes, and within it of any part above half of it. */
function largestIn(value: Json, least: number): readonly [field: string, bytes: number] {
  const parts: (readonly [string, Json])[] = Array.isArray(value)
    ? value.map((part, i) => [String(i), part])
    : isJsonObject(value)
      ? Object.entries(value).filter(([, part]) => part !== undefined)
      : [];
  const sizes = parts.map(([key, part]) => ({ key, part, bytes: bytesOf(part) }));
  const largest = sizes.reduce((most, next) => (next.bytes > most.bytes ? next : most), {
    key: '',
    part: null as Json,
    bytes: least,
  });
  if (largest.key === '') return ['', least];
  const [inside, bytes] = largestIn(largest.part, largest.bytes / 2);
  return inside === '' ? [largest.key, largest.bytes] : [`${largest.key}.${inside}`, bytes];
}
