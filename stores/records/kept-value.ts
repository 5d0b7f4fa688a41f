import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { Spill } from './spill.js';

/** A value, inline or by its address in the artifact store. */
export type KeptValue = { readonly json: Json } | { readonly uri: string };

/** Larger values, in bytes of JSON, go to the artifact store. */
const INLINE_BYTES = 16_384;

/** Throws `RESULT_TOO_LARGE` for a large value without a place for it. */
export async function keptValue(value: Json, tenant: string, spill: Spill | undefined): Promise<KeptValue> {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) <= INLINE_BYTES) return { json: value };
  if (!spill) throw new MillraceError('RESULT_TOO_LARGE', 'a value is too large for the record');
  return { uri: await spill.put(tenant, text) };
}

/** Throws `RECORD_GONE` if the value is no longer there. */
export async function restoredValue(value: KeptValue, tenant: string, spill: Spill | undefined): Promise<Json> {
  if ('json' in value) return value.json;
  try {
    if (spill) return JSON.parse(await spill.get(tenant, value.uri)) as Json;
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'ARTIFACT_NOT_FOUND') throw error;
  }
  throw new MillraceError('RECORD_GONE', `a value of the record, ${value.uri}, no longer exists`);
}
