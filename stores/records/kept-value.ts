import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { opened, sealed } from './sealed.js';
import type { Spill } from './spill.js';

/** A value of a record: inline, or by its address in the artifact store, as it is or sealed. */
export type KeptValue = InlineValue | { readonly uri: string } | SealedValue;

export interface InlineValue {
  readonly json: Json;
}

/** The key is in the record alone: when that is erased or expires, nobody can read what the artifact store has. */
interface SealedValue {
  /** Workers of 0.3.0 look for the value here, and report it as gone. */
  readonly uri: typeof NO_ADDRESS;
  /** Its address in the artifact store. */
  readonly sealed: string;
  readonly key: string;
}

const NO_ADDRESS = 'sealed';

/** Larger values, in bytes of JSON, are not in the record itself. */
const INLINE_BYTES = 16_384;

interface Place {
  readonly tenant: string;
  /** Stores large values. Absent: there is no place for them. */
  readonly spill: Spill | undefined;
  /** Names the value among those of all records (`outputName`). */
  readonly name: string;
}

/** A call in the record of a run. */
export interface CallAt {
  /** The run's id. */
  readonly root: string;
  /** Name of the call (`nameOf`). */
  readonly call: string;
}

interface OutputOf extends CallAt {
  /** Hash of the call's input. */
  readonly digest: string;
}

/** What an output is sealed as: in the place of another one it is not opened. */
export const outputName = ({ root, call, digest }: OutputOf): string => JSON.stringify([root, call, digest]);

/** A value that nothing reads again, where the record has room for it; undefined if it is large. */
export const inlineValue = (value: Json): InlineValue | undefined =>
  isInline(JSON.stringify(value)) ? { json: value } : undefined;

const isInline = (text: string): boolean => Buffer.byteLength(text) <= INLINE_BYTES;

/**
 * Throws `RESULT_TOO_LARGE` for a large value without a place for it, and the errors of the artifact store.
 * @param seals whether a large value is sealed
 */
export async function keptValue(value: Json, { tenant, spill, name }: Place, seals: boolean): Promise<KeptValue> {
  const text = JSON.stringify(value);
  if (isInline(text)) return { json: value };
  if (!spill) throw new MillraceError('RESULT_TOO_LARGE', 'a value is too large for the record');
  if (!seals) return { uri: await spill.put(tenant, [Buffer.from(text)], 'application/json') };
  const { key, parts } = sealed(text, name);
  return { uri: NO_ADDRESS, sealed: await spill.put(tenant, parts, 'application/octet-stream'), key };
}

/** Throws `RECORD_GONE` if the value is no longer there, or is not what was kept, and `STORE_UNAVAILABLE`. */
export async function restoredValue(value: KeptValue, { tenant, spill, name }: Place): Promise<Json> {
  if ('json' in value) return value.json;
  const uri = 'sealed' in value ? value.sealed : value.uri;
  const bytes = await bytesAt(uri, tenant, spill);
  const text = 'sealed' in value ? opened(bytes, value.key, name) : bytes.toString('utf8');
  if (text === undefined) throw gone(uri, CHANGED);
  return JSON.parse(text) as Json;
}

const NOT_THERE = 'no longer exists';
const CHANGED = 'has been changed, or is in the place of another';

/** What has become of a value, by the code of the artifact store: no attempt would have it. */
const LOST: Readonly<Record<string, string>> = { ARTIFACT_NOT_FOUND: NOT_THERE, ARTIFACT_CORRUPT: CHANGED };

async function bytesAt(uri: string, tenant: string, spill: Spill | undefined): Promise<Buffer> {
  if (!spill) throw gone(uri, NOT_THERE);
  try {
    return await spill.get(tenant, uri);
  } catch (error) {
    const how = error instanceof MillraceError ? LOST[error.code] : undefined;
    throw how === undefined ? error : gone(uri, how, { cause: error });
  }
}

const gone = (uri: string, how: string, options?: { readonly cause: unknown }): MillraceError =>
  new MillraceError('RECORD_GONE', `a value of the record, ${uri}, ${how}`, {}, options);
