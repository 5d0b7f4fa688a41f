import { randomUUID } from 'node:crypto';
import type { Pools } from '../../activities/pools/index.js';
import { throughCache } from '../../activities/stage/cached-stage.js';
import type { Attempt } from '../../activities/stage/serving.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';
import { recordingLogger } from './caches.js';
import { realCache } from './real-cache.js';

export const attempt: Attempt = {
  signal: new AbortController().signal,
  attempt: 1,
  queueMs: 0,
  run: 'run-1',
  resumeFrom: null,
  checkpoint: () => undefined,
};

export const call = (tenant: string, key: string, more: Partial<StageCall> = {}, only?: true): StageCall => ({
  pipeline: 'p',
  version: 'v',
  tenant,
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
  cache: {
    kind: 'semantic',
    ttlMs: 60_000,
    minSimilarity: 0.85,
    embedder: 'minilm',
    key,
    context: {},
    ...(only && { only }),
  },
  ...more,
});

export const tenant = () => `t-${randomUUID()}`;

/** Stages behind the caches of `realCache`, of a model whose weights a test can change. */
export function cachedStages() {
  const real = realCache();
  /** The artifacts that have been removed. */
  const removed = new Set<string>();
  const media = {
    hasArtifact: async (_: string, uri: string) => !removed.has(uri),
    indexVersion: async () => '1',
  };
  /** The model's weights, as its server tells. */
  const model = { weights: async () => 'weights-1' };
  const pools = { get: () => ({ answersAs: () => model.weights() }) } as unknown as Pools;
  /** Asks through the cache; `output` is what the model would say. */
  const ask = (
    stage: StageCall,
    output: JsonObject,
    code: ReadonlyMap<string, CodeStage> = new Map(),
    input: JsonObject = {},
    of = pools,
  ) => {
    const parts = { ...real.test, pools: of, code, logger: recordingLogger().logger, ...media };
    return throughCache(parts, input, stage, attempt, async () => ({ output, endpoint: 'e', device: 'd' }));
  };
  return Object.assign(real, { removed, media, model, pools, ask });
}
