import { isJsonObject, type Json } from './json.js';

/*
 * What a run's history can hold: values that JSON says in full, up to a size. Nothing of Node's and no zod: the interpreter
 * asks as well.
 */

/**
 * Most bytes of one value as JSON. Temporal refuses payloads above 2 MiB, all arguments of a call together; the rest is for
 * what stands around the value.
 */
export const MOST_BYTES = 1_500_000;

/** Those who read a value walk it on their stack. */
const DEEPEST = 500;

/** A part of a value and what is wrong with it. `field`: its path, `items.3.price`; empty for the whole. */
export interface Misfit {
  readonly field: string;
  readonly message: string;
}

/**
 * The first part of a value that JSON would lose, change or refuse. A field of an object that is undefined is none: it is
 * absent.
 */
export function notJson(value: unknown): Misfit | undefined {
  const found = firstMisfit(value, []);
  return found && { field: found.path.reverse().join('.'), message: found.message };
}

/** `path`: from the inside out, so that nothing is made of it where nothing is wrong. */
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
      return Number.isFinite(value) ? undefined : `is ${value}, which is no number in JSON; give null or leave it out`;
    case 'bigint':
      return 'is a BigInt, which JSON does not have; give a number or a text';
    case 'undefined':
      return 'is undefined, which JSON does not have; give null';
    case 'function':
    case 'symbol':
      return `is a ${typeof value}, which JSON does not have`;
    default:
      return undefined;
  }
}

function wrongObject(value: object, around: readonly object[]): string | undefined {
  if (around.includes(value)) return 'holds itself';
  if (around.length >= DEEPEST) return `is nested more than ${DEEPEST} levels deep`;
  if (Array.isArray(value)) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  // A plain object of another realm has a prototype that has none.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  const { name } = (prototype.constructor ?? {}) as { readonly name?: string };
  return `is a ${name || 'class instance'}, which JSON does not have; give a plain object, a list or a text`;
}

/** That a value is larger than `most` bytes, naming the part that makes it so. */
export function tooLarge(value: Json, most = MOST_BYTES): Misfit | undefined {
  const bytes = bytesOf(value, most);
  if (bytes <= most) return undefined;
  const [field, largest] = largestIn(value, 0);
  const which = field === '' ? '' : `; "${field}" has ${largest} of them`;
  return { field, message: `has ${bytes} bytes as JSON, more than ${most}${which}` };
}

/** Bytes of a value as JSON; where they cannot be more than `enough`, its characters. */
export function bytesOf(value: Json, enough = 0): number {
  const text = JSON.stringify(value) ?? '';
  return text.length * 3 <= enough ? text.length : utf8Length(text);
}

/** Neither `Buffer` nor `TextEncoder`: Temporal's sandbox need not have them. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // The two units of a pair are four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** Path and size of the largest part that is more than `least` bytes, and within it of what is more than half of it. */
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
