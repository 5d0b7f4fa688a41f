import { isArtifactAlone } from '../../pipelines/artifact.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import type { CacheAgreement, CacheVerifier, Priority } from '../../pipelines/plan/index.js';
import { cachePrefix } from '../../stores/redis/index.js';
import { normaliseText } from './lexical/text.js';

/** Incremented when the meaning of stored data changes; older entries expire unread. */
const FORMAT = 4;
const EXACT_FORMAT = 2;

/**
 * How the wait for another worker's call is spent: it calls and awaits the function once, and may give up meanwhile what others need. Absent: the
 * function is just called.
 */
type Waiting = <T>(wait: () => Promise<T>) => Promise<T>;

/** A lookup of the exact cache. */
export interface ExactRequest {
  readonly tenant: string;
  /** The stage that asks; not part of the key. */
  readonly pipeline: string;
  readonly stage: string;
  readonly kind: string;
  /** Identity of the model, of its pool and of its weights if known, or of a function's code. */
  readonly model: string;
  /** The stage's options. */
  readonly with: JsonObject;
  readonly input: JsonObject;
  /** How long a result may be served, in milliseconds. */
  readonly ttlMs: number;
  /** How long a stable failure may be served, in milliseconds. Absent: it is not kept. */
  readonly negativeMs?: number | undefined;
  readonly principal?: string | undefined;
  /** Who stores a result, for the allowance of each caller. */
  readonly insertedBy?: string | undefined;
  readonly untilMidnight?: string | undefined;
  readonly version?: string | undefined;
  /** When this attempt ends, on the clock of `performance.now()`. */
  readonly endsAt?: number | undefined;
  readonly waiting?: Waiting | undefined;
}

/** A lookup of the semantic cache. The fields down to `context`, `principal`, `ttlMs`, `untilMidnight`, `version`, `agree` and `embedder`
 * determine the partition. */
export interface CacheRequest {
  readonly tenant: string;
  readonly pipeline: string;
  readonly stage: string;
  readonly kind: string;
  /** Identity of the model, including its weights if known. */
  readonly model: string;
  /** Everything else that the answer depends on: the stage's options and its inputs except the key. */
  readonly context: Json;
  /** The text that is compared by meaning. */
  readonly key: string;
  /** How long an answer may be served, in milliseconds. */
  readonly ttlMs: number;
  /** Least cosine similarity of a hit. */
  readonly minSimilarity: number;
  /** Name of the embedder. */
  readonly embedder: string;
  /** Whose answers they are within the tenant. Absent: all callers of the tenant share them. */
  readonly principal?: string | undefined;
  /** Who stores an answer, for the allowance of each caller. */
  readonly insertedBy?: string | undefined;
  /**
   * Greatest share of wrong answers among hits on texts that are not the same. Absent: only texts that the guard takes
   * for the same hit.
   */
  readonly maxErrorRate?: number | undefined;
  /** Share of hits that are asked again to measure the error rate. */
  readonly reask?: number | undefined;
  /** When a fresh answer says the same as a cached one. Absent: `{ by: 'text' }`. */
  readonly agree?: CacheAgreement | undefined;
  /** A served model that the verifier asks about texts that differ softly. */
  readonly verifier?: CacheVerifier | undefined;
  /** Answers end with the day in this time zone. */
  readonly untilMidnight?: string | undefined;
  /** Version of what answers are made from: another version's are not served. */
  readonly version?: string | undefined;
  /** Texts whose answer depends on when they are asked are cached too. */
  readonly timely?: boolean | undefined;
  /** Priority of the embedder's call. Absent: `default`. */
  readonly priority?: Priority | undefined;
  /** Longest wait in the embedder's queue, in milliseconds, within the time of the lookup. */
  readonly queueMs?: number | undefined;
  /** When this attempt ends, on the clock of `performance.now()`. */
  readonly endsAt?: number | undefined;
  readonly waiting?: Waiting | undefined;
}

/** Redis keys of one lookup. They contain hashes only, never users' texts. */
export interface CacheKeys {
  /** Id of the text within its partition. */
  readonly id: string;
  /** Hash that names the partition within the tenant. */
  readonly partition: string;
  readonly entry: string;
  readonly lease: string;
  readonly vectors: string;
  /** Key of the entry of another text in the same partition. */
  entryOf(id: string): string;
  /** Marks that a conversation's history has been asked about before. */
  readonly history: string;
}

/**
 * The tenant is in clear in the key, so that no hash collision joins two tenants and an operator can find or delete a
 * tenant's data. The braces put the partition into one slot of a Redis Cluster, which scripts with several keys
 * require.
 *
 * How long answers are served is part of the partition too: an answer stored with a longer limit must not be served beyond
 * a shorter one. So is the rule of when two answers agree: a report of a wrong answer counts in the evidence that the answer
 * was stored under, which belongs to one rule.
 */
export function keysOf(request: CacheRequest, fingerprint: string): CacheKeys {
  const { tenant, pipeline, stage, kind, model, context, embedder, agree, principal = null } = request;
  const partition = jsonHash({
    format: FORMAT,
    tenant,
    pipeline,
    stage,
    kind,
    model,
    context,
    ...servedFor(request),
    ...(agree !== undefined && { agree }),
    embedder,
    principal,
    fingerprint,
  });
  return keysIn(tenant, partition, jsonHash(normaliseText(request.key)).slice(0, 32));
}

/** A stage's limits of how long answers are served, and of what they are made from, for the name of a partition. */
export const servedFor = ({
  ttlMs,
  untilMidnight,
  version,
}: Pick<CacheRequest, 'ttlMs' | 'untilMidnight' | 'version'>) => ({
  ttlMs,
  ...(untilMidnight !== undefined && { untilMidnight }),
  ...(version !== undefined && { version }),
});

/** Keys of the exact cache's entry for a call: one for all stages of a tenant that make it. */
export function exactKeysOf(request: ExactRequest): CacheKeys {
  const { tenant, kind, model, with: options, input, principal = null } = request;
  const limits = servedFor(request);
  const partition = jsonHash({ exact: EXACT_FORMAT, tenant, kind, model, with: options, ...limits, principal });
  return keysIn(tenant, partition, jsonHash(contentOf(input)).slice(0, 32));
}

/**
 * Media by what they are, without what is derived from that. What has the form of media and says more stays as it is, and what
 * stands for media has their form, so that no other data have the same content.
 */
export function contentOf(value: Json): Json {
  if (Array.isArray(value)) return value.map((item) => contentOf(item as Json));
  if (!isJsonObject(value)) return value;
  if (isArtifactAlone(value)) {
    const { uri, sha256, mime } = value;
    return { uri, sha256, mime, bytes: 0 };
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, contentOf(each)]));
}

function keysIn(tenant: string, partition: string, id: string): CacheKeys {
  const prefix = cachePrefix(tenant, partition);
  const entryOf = (other: string) => `${prefix}:entry:${other}`;
  return {
    id,
    partition,
    entry: entryOf(id),
    lease: `${prefix}:lease:${id}`,
    vectors: `${prefix}:vectors`,
    history: `${prefix}:history`,
    entryOf,
  };
}
