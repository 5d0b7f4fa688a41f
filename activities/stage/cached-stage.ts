import { z } from 'zod';
import { isArtifact } from '../../pipelines/artifact.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import type { ExactCacheCall, SemanticCacheCall, StageCall } from '../../pipelines/run/index.js';
import type { CodeStage, NamedCode } from '../../pipelines/stages/kind.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Cached, CacheRequest, ExactCache, ExactRequest, SemanticCache, VectorCache } from '../cache/index.js';
import type { Pools } from '../pools/index.js';
import type { CachedServed, Serve } from './cached-served.js';
import { throughVectors } from './cached-vectors.js';
import type { Known } from './lack.js';
import { kindOf, queueLeft, type Served } from './serve-stage.js';
import type { Attempt } from './serving.js';
import { withoutSlot } from './without-slot.js';

export interface CachingParts extends Known {
  readonly pools: Pools;
  readonly cache: SemanticCache;
  readonly exact: ExactCache;
  readonly vectors: VectorCache;
  /** Whether an artifact of the tenant still exists: cached answers may refer to one that has been removed. */
  readonly hasArtifact: (tenant: string, uri: string) => Promise<boolean>;
  /** Changes with every write that changes a vector index of the tenant. */
  readonly indexVersion: (tenant: string, index: string) => Promise<string>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * The answer to a stage's call, from its cache if it has one, else from `serve`. A cached answer is served only if it fits
 * the stage's current output schema and the media that it refers to exist. Throws `NOT_CACHED` if only a cached answer is allowed and
 * there is none.
 */
export async function throughCache(
  parts: CachingParts,
  input: JsonObject,
  call: StageCall,
  attempt: Attempt,
  serve: Serve,
): Promise<CachedServed> {
  if (!call.cache) return { ...(await serve()), cache: 'off' };
  const model = await identityOf(parts, call, attempt);
  const only = call.cache.only === true;
  if (model === undefined) {
    parts.metrics.cacheLookups.inc({ pipeline: call.pipeline, stage: call.stage, outcome: 'bypass' });
    if (only) throw notCached(call);
    return { ...(await serve()), cache: 'bypass' };
  }
  if (call.cache.kind === 'exact' && call.kind === 'embed')
    return throughVectors(
      parts.vectors,
      { call, cache: call.cache, kind: kindOf(parts.kinds, call), input, model, signal: attempt.signal },
      serve,
    ).then((found) => {
      const { pipeline, stage } = call;
      parts.metrics.cacheLookups.inc({ pipeline, stage, outcome: found.cache });
      if (found.cache === 'hit') parts.metrics.cacheHits.inc({ pipeline, stage, tier: 'exact' });
      return found;
    });
  const schema = outputSchema(parts, call);
  const valid = (output: JsonObject) => schema.safeParse(output).success && mediaExist(parts, call.tenant, output);
  let served: Served | undefined;
  const produce = async () => {
    served = await serve();
    return served.output;
  };
  const { signal } = attempt;
  let found: Cached | undefined;
  if (call.cache.kind === 'exact') {
    const request = exactRequestOf(call, call.cache, model, input, attempt);
    found = await (only
      ? parts.exact.earlier(request, signal, valid)
      : parts.exact.through(request, produce, signal, valid));
  } else {
    const request = requestOf(call, call.cache, model, attempt);
    found = await (only
      ? parts.cache.earlier(request, signal, valid)
      : parts.cache.through(request, produce, signal, valid));
  }
  if (found === undefined) throw notCached(call);
  return served ? { ...served, cache: found.outcome } : fromCache(call, schema, found);
}

/** The answer that the cache has; undefined if it has none, or a failure. Throws the signal's reason. */
export async function fromCacheAlone(
  parts: CachingParts,
  input: JsonObject,
  call: StageCall,
  attempt: Attempt,
): Promise<CachedServed | undefined> {
  if (!call.cache) return undefined;
  const only = { ...call, cache: { ...call.cache, only: true as const } };
  try {
    return await throughCache(parts, input, only, attempt, () => Promise.reject(notCached(call)));
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

/**
 * An answer of an earlier release is completed with the defaults of the kind's schema; a function's own schema may do
 * more, and already has.
 */
const fromCache = ({ kind }: StageCall, schema: z.ZodType, { output, outcome, by }: Cached): CachedServed => ({
  output: kind === 'code' ? output : (schema.parse(output) as JsonObject),
  endpoint: 'cache',
  device: '',
  cache: outcome,
  ...(by && { cachedBy: by }),
});

/** Whether the media that an answer refers to are there. */
async function mediaExist(
  { hasArtifact }: Pick<CachingParts, 'hasArtifact'>,
  tenant: string,
  value: Json,
): Promise<boolean> {
  if (value === null || typeof value !== 'object') return true;
  if (isArtifact(value)) return hasArtifact(tenant, value.uri);
  for (const each of Object.values(value)) if (!(await mediaExist({ hasArtifact }, tenant, each as Json))) return false;
  return true;
}

const notCached = ({ stage }: StageCall) =>
  new MillraceError('NOT_CACHED', `the cache has no answer to the text of the stage "${stage}"`);

const requestOf = (call: StageCall, cache: SemanticCacheCall, model: string, attempt: Attempt): CacheRequest => ({
  tenant: call.tenant,
  pipeline: call.pipeline,
  stage: call.stage,
  kind: call.kind,
  model,
  context: { with: call.with, input: cache.context },
  key: cache.key,
  ttlMs: cache.ttlMs,
  minSimilarity: cache.minSimilarity,
  embedder: cache.embedder,
  principal: cache.principal,
  insertedBy: cache.insertedBy,
  maxErrorRate: cache.maxErrorRate,
  reask: cache.reask,
  agree: cache.agree,
  verifier: cache.verifier,
  timely: cache.timely,
  untilMidnight: cache.untilMidnight,
  version: cache.version,
  priority: call.priority,
  queueMs: queueLeft(call, attempt),
  endsAt: attempt.endsAt,
  waiting: (wait) => withoutSlot(attempt, wait),
});

const exactRequestOf = (
  call: StageCall,
  cache: ExactCacheCall,
  model: string,
  input: JsonObject,
  attempt: Attempt,
): ExactRequest => ({
  tenant: call.tenant,
  pipeline: call.pipeline,
  stage: call.stage,
  kind: call.kind,
  model,
  with: call.with,
  input,
  ttlMs: cache.ttlMs,
  negativeMs: cache.negativeMs,
  principal: cache.principal,
  insertedBy: cache.insertedBy,
  untilMidnight: cache.untilMidnight,
  version: cache.version,
  endsAt: attempt.endsAt,
  waiting: (wait) => withoutSlot(attempt, wait),
});

/**
 * Identity of the answer's source, for the cache's key; undefined if the server does not report it, which does not fail
 * the run.
 */
async function identityOf(
  { pools, code, kinds, logger, indexVersion }: CachingParts,
  call: StageCall,
  { signal, run }: Attempt,
): Promise<string | undefined> {
  const { kind, model, stage } = call;
  if (kind === 'code') return codeIdentity(model, code.get(model, call.codeVersion));
  const inWorker = kindOf(kinds, call).servedBy === 'worker';
  if (inWorker && kind !== 'retrieve') return model;
  try {
    if (inWorker) return `${model}@${await indexVersion(call.tenant, model)}`;
    const pool = pools.get(model);
    return await pool.answersAs(signal);
  } catch (error) {
    signal.throwIfAborted();
    logger.warn(
      { run, stage, model, error: messageOf(error) },
      'call not cached: the server does not identify its model',
    );
    return undefined;
  }
}

const outputSchema = ({ code, kinds }: CachingParts, call: StageCall): z.ZodType =>
  (call.kind === 'code' ? code.get(call.model, call.codeVersion)?.output : undefined) ?? kindOf(kinds, call).output;

const identities = new WeakMap<CodeStage, string>();

/**
 * A function's name, its body and its output's JSON Schema. The body is its author's version, or else the sources that
 * it is built from: a deployment that leaves them unchanged keeps the answers, one that changes them invalidates the
 * answers. The function's text is used if no deployment has loaded it.
 */
function codeIdentity(name: string, code: NamedCode | CodeStage | undefined): string {
  if (code === undefined) return name;
  const known = identities.get(code);
  if (known !== undefined) return known;
  const schema = z.toJSONSchema(code.output, { unrepresentable: 'any' }) as Json;
  const { version, sources }: Partial<NamedCode> = 'name' in code ? code : {};
  const body = sources ?? version ?? String(code.run);
  const identity = `${name}@${jsonHash([schema, sources === undefined, body]).slice(0, 16)}`;
  identities.set(code, identity);
  return identity;
}
