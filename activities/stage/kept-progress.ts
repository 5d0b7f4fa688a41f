import { gunzipSync, gzipSync } from 'node:zlib';
import { isJsonObject, type Json } from '../../pipelines/json.js';

/** From this size on, in UTF-16 units of its JSON, a checkpoint is compressed: each heartbeat has it, two in a second. */
const LARGE = 16 * 1024;

/** Most characters of a compressed one: Temporal fails an activity whose heartbeat has more than 2 MiB. */
const MOST = 512 * 1024;

/** A compressed checkpoint: gzip in base64. */
interface Packed {
  readonly $gzip: string;
}

/** A checkpoint as heartbeats have it; undefined for one that is too large for them. */
export function packed(progress: Json): Json | undefined {
  const text: string | undefined = JSON.stringify(progress);
  if (text === undefined) return null;
  if (text.length < LARGE) return progress;
  const $gzip = gzipSync(text, { level: 1 }).toString('base64');
  return $gzip.length > MOST ? undefined : ({ $gzip } satisfies Packed);
}

/** The checkpoint of a heartbeat. */
export function unpacked(kept: Json): Json {
  if (!isPacked(kept)) return kept;
  return JSON.parse(gunzipSync(Buffer.from(kept.$gzip, 'base64')).toString('utf8')) as Json;
}

const isPacked = (kept: Json): kept is Json & Packed =>
  isJsonObject(kept) && typeof kept.$gzip === 'string' && Object.keys(kept).length === 1;
