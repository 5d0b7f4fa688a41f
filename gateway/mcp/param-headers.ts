import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';

/** Keyword of a schema: clients of version 2026-07-28 repeat the field in the header `Mcp-Param-<value>`, for proxies (SEP-2243). */
const KEYWORD = 'x-mcp-header';
/** The protocol’s error for headers that disagree with the body. */
export const HEADER_MISMATCH = -32020;

/** A field of a tool’s arguments that a header repeats. */
export interface ParamHeader {
  readonly path: readonly string[];
  /** Name of the header as the author has written it. */
  readonly header: string;
}

/** The headers that a tool’s schema declares for its fields, at any depth. */
export function paramHeadersIn(schema: Json | undefined, path: readonly string[] = []): readonly ParamHeader[] {
  if (!isJsonObject(schema)) return [];
  const { [KEYWORD]: name, properties } = schema;
  const own = typeof name === 'string' && path.length > 0 ? [{ path, header: `Mcp-Param-${name}` }] : [];
  const inner = isJsonObject(properties) ? Object.entries(properties) : [];
  return [...own, ...inner.flatMap(([field, value]) => paramHeadersIn(value, [...path, field]))];
}

/** How a call’s headers disagree with its arguments; undefined if they do not. A header without an argument is ignored. */
export function mismatchOf(
  declared: readonly ParamHeader[],
  given: JsonObject,
  headers: IncomingHttpHeaders,
): string | undefined {
  for (const { path, header } of declared) {
    const value = valueAt(given, path);
    if (value === undefined || value === null) continue;
    const sent = headers[header.toLowerCase()];
    const where = `${header}, which repeats ${path.join('.')},`;
    if (typeof sent !== 'string') return `the header ${where} is missing`;
    const text = textIn(sent);
    if (text === undefined) return `the header ${where} is not base64 of UTF-8`;
    if (!isSame(value, text)) return `the header ${where} has another value than the body`;
  }
  return undefined;
}

function valueAt(value: Json | undefined, path: readonly string[]): Json | undefined {
  let found = value;
  for (const field of path) found = isJsonObject(found) && Object.hasOwn(found, field) ? found[field] : undefined;
  return found;
}

/** Numbers are compared as such: 42.0 is 42. */
const isSame = (value: Json, text: string): boolean =>
  typeof value === 'number' ? /^-?\d+(\.\d+)?$/.test(text) && Number(text) === value : String(value) === text;

const ENCODED = /^=\?base64\?(.*)\?=$/;

/** The value of a header: base64 where it has the protocol’s marks. Undefined if that is not canonical, or no UTF-8. */
function textIn(sent: string): string | undefined {
  const [, encoded] = ENCODED.exec(sent) ?? [];
  if (encoded === undefined) return sent;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
