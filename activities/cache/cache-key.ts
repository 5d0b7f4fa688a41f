import type { Json } from '../../pipelines/json.js';
import { jsonHash, sha256Hex } from '../../pipelines/plan/hash.js';
import type { Priority } from '../../pipelines/plan/index.js';
import { keySegment } from '../../stores/redis/index.js';

/** Raised when the meaning of what is stored changes; older entries then expire unread. */
const FORMAT = 1;

/** What a lookup is about. Everything but `key`, `minSimilarity`, `priority` and `queueMs` tells partitions apart. */
export interface CacheRequest {
  readonly tenant: string;
  readonly pipeline: string;
  readonly stage: string;
  readonly kind: string;
  /** Identity of the model, weights included where they can be told. */
  readonly model: string;
  /** Everything else the answer depends on: the stage's options and its inputs but the key. */
  readonly context: Json;
  /** The text whose meaning is compared. */
  readonly key: string;
  /** How long an answer may be served, in milliseconds. */
  readonly ttlMs: number;
  /** Least cosine similarity of a hit. */
  readonly minSimilarity: number;
  /** Name of the embedder. */
  readonly embedder: string;
  /** Of the call of the embedder. Absent: `default`. */
  readonly priority?: Priority | undefined;
  /** Longest wait for a place at the embedder, in milliseconds, within the lookup's own time. */
  readonly queueMs?: number | undefined;
}

/** Redis keys of one lookup. They hold hashes only: what users say never stands in a key's name. */
export interface CacheKeys {
  /** Id of the text in its partition. */
  readonly id: string;
  readonly entry: string;
  readonly lease: string;
  readonly vectors: string;
  /** Key of another text's entry in the same partition. */
  entryOf(id: string): string;
}

/**
 * The tenant stands in the key in clear, so that no hash collision joins two tenants and an operator can find or delete
 * what is theirs. The braces make the partition one slot of a Redis Cluster, which scripts over several keys need.
 *
 * The time to live tells partitions apart too: an answer stored under a longer one must not outlive a shorter one.
 */
export function keysOf(request: CacheRequest, fingerprint: string): CacheKeys {
  const { tenant, pipeline, stage, kind, model, context, ttlMs, embedder } = request;
  const partition = jsonHash({
    format: FORMAT,
    tenant,
    pipeline,
    stage,
    kind,
    model,
    context,
    ttlMs,
    embedder,
    fingerprint,
  });
  const prefix = `millrace:cache:{${keySegment(tenant)}:${partition}}`;
  const id = sha256Hex(normaliseText(request.key)).slice(0, 32);
  const entryOf = (other: string) => `${prefix}:entry:${other}`;
  return { id, entry: entryOf(id), lease: `${prefix}:lease:${id}`, vectors: `${prefix}:vectors`, entryOf };
}

/**
 * The form in which two texts are *the same text*: composed characters, plain apostrophes, single spaces, no full stop or
 * exclamation mark at the end, a small first letter. Nothing that may carry meaning is touched: not case (`US`, `us`), not a
 * question mark, not superscripts (`5²`, which NFKC would turn into `52`).
 */
export function normaliseText(text: string): string {
  const plain = text
    .normalize('NFC')
    .replace(/[\u2018\u2019\u02bc\uff07]/g, "'")
    .replace(/\s+/g, ' ')
    .trim();
  let end = plain.length;
  while (end > 0 && '.!\u2026 '.includes(plain[end - 1] as string)) end -= 1;
  const body = plain.slice(0, end);
  // `What` becomes `what`; `US` and `iPhone` stay.
  return /^\p{Lu}(?:\p{Ll}|$|\s)/u.test(body) ? body.charAt(0).toLowerCase() + body.slice(1) : body;
}
