import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Embedder } from '../../activities/cache/index.js';
import type { Pools } from '../../activities/pools/index.js';
import { throughCache } from '../../activities/stage/cached-stage.js';
import type { Attempt } from '../../activities/stage/serve-stage.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { openCache, recordingLogger, type TestCache } from '../support/caches.js';
import { openEmbedder } from '../support/embedder.js';
import { address } from '../support/runs.js';

const CAPITAL = 'What is the capital of France?';
const SAME = 'Which city is the capital of France?';

const attempt: Attempt = {
  signal: new AbortController().signal,
  attempt: 1,
  queueMs: 0,
  run: 'run-1',
  resumeFrom: null,
  checkpoint: () => undefined,
};

let redis: Redis;
let embedder: Embedder & { close(): void };
let test: TestCache;
/** The model's weights, as its server tells. */
let weights: () => Promise<string> = async () => 'weights-1';

beforeAll(async () => {
  const { logger } = recordingLogger();
  redis = createRedis({ url: address('REDIS_CACHE_URL'), timeoutMs: 250, logger });
  expect(await connected(redis, 5_000)).toBe(true);
  embedder = openEmbedder();
  test = openCache(redis, embedder);
});
afterAll(() => {
  redis.disconnect();
  embedder.close();
});

const call = (tenant: string, key: string, more: Partial<StageCall> = {}, only?: true): StageCall => ({
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

/** Asks through the cache; `output` is what the model would say. */
function ask(stage: StageCall, output: JsonObject, code: ReadonlyMap<string, CodeStage> = new Map()) {
  const pools = { get: () => ({ identity: () => weights() }) } as unknown as Pools;
  const { logger } = recordingLogger();
  const parts = { pools, cache: test.cache, code, metrics: test.metrics, logger };
  return throughCache(parts, stage, attempt, async () => ({ output, endpoint: 'e', device: 'd' }));
}
const tenant = () => `t-${randomUUID()}`;

describe('a cached stage on real Redis and MiniLM', () => {
  it('serves an earlier answer, with what its schema has gained since', async () => {
    const own = tenant();
    expect(await ask(call(own, CAPITAL), { text: 'Paris' })).toEqual({
      output: { text: 'Paris' },
      endpoint: 'e',
      device: 'd',
      cache: 'miss',
    });
    expect(await ask(call(own, CAPITAL), { text: 'other' })).toMatchObject({
      output: { text: 'Paris', finish: 'stop' },
      endpoint: 'cache',
      device: '',
      cache: 'hit',
    });
  });

  it('asks again when what was kept does not fit any more, and keeps the new answer', async () => {
    const own = tenant();
    await ask(call(own, CAPITAL), { text: 12 });
    for (const expected of ['miss', 'hit']) {
      expect(await ask(call(own, CAPITAL), { text: 'Paris' })).toMatchObject({
        output: { text: 'Paris' },
        cache: expected,
      });
    }
  });

  it('passes over what does not fit under other words for the same', async () => {
    const own = tenant();
    await ask(call(own, CAPITAL), { text: 12 });
    expect(await ask(call(own, SAME), { text: 'Paris' })).toMatchObject({ output: { text: 'Paris' }, cache: 'miss' });
    expect(await ask(call(own, SAME), { text: 'other' })).toMatchObject({ output: { text: 'Paris' }, cache: 'hit' });
  });

  it('tells two shapes of a function’s output apart, and checks against the function’s own schema', async () => {
    const own = tenant();
    const stage = call(own, CAPITAL, { kind: 'code', model: 'look-up' });
    const functions = (output: z.ZodType) =>
      new Map([['look-up', { input: z.looseObject({}), output, run: () => undefined }]]);
    const before = functions(z.object({ city: z.string() }));
    const after = functions(z.object({ city: z.string(), country: z.string() }));
    await ask(stage, { city: 'Paris' }, before);
    expect(await ask(stage, { city: 'other' }, before)).toMatchObject({ output: { city: 'Paris' }, cache: 'hit' });
    const full = { city: 'Paris', country: 'France' };
    expect(await ask(stage, full, after)).toMatchObject({ output: full, cache: 'miss' });
    expect(await ask(stage, { city: 'other' }, before)).toMatchObject({ output: { city: 'Paris' }, cache: 'hit' });
  });
});

describe('a stage that wants an earlier answer only', () => {
  const refused = { code: 'NOT_CACHED' };

  it('gets one, in other words too', async () => {
    const own = tenant();
    await ask(call(own, CAPITAL), { text: 'Paris' });
    for (const key of [CAPITAL, SAME]) {
      expect(await ask(call(own, key, {}, true), { text: 'other' })).toMatchObject({
        output: { text: 'Paris', finish: 'stop' },
        endpoint: 'cache',
        cache: 'hit',
      });
    }
  });

  it('fails without one, asks nobody and keeps nobody waiting', async () => {
    const own = tenant();
    await expect(ask(call(own, CAPITAL, {}, true), { text: 'other' })).rejects.toMatchObject(refused);
    const started = performance.now();
    expect(await ask(call(own, CAPITAL), { text: 'Paris' })).toMatchObject({ cache: 'miss' });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('does not wait for an answer that somebody else is getting', async () => {
    const own = tenant();
    let answer: () => void = () => undefined;
    const request = { ...call(own, CAPITAL) };
    const parts = {
      pools: { get: () => ({ identity: weights }) } as unknown as Pools,
      cache: test.cache,
      code: new Map<string, CodeStage>(),
      metrics: test.metrics,
      logger: recordingLogger().logger,
    };
    let called: () => void = () => undefined;
    const inCall = new Promise<void>((resolve) => {
      called = resolve;
    });
    const slow = throughCache(parts, request, attempt, async () => {
      called();
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return { output: { text: 'Paris' }, endpoint: 'e', device: 'd' };
    });
    await inCall;
    await expect(ask(call(own, CAPITAL, {}, true), {})).rejects.toMatchObject(refused);
    answer();
    expect(await slow).toMatchObject({ cache: 'miss' });
  });

  it('fails with what does not fit any more', async () => {
    const own = tenant();
    await ask(call(own, CAPITAL), { text: 12 });
    await expect(ask(call(own, CAPITAL, {}, true), {})).rejects.toMatchObject(refused);
  });

  it('fails when nobody knows what the model is', async () => {
    weights = () => Promise.reject(new Error('down'));
    try {
      await expect(ask(call(tenant(), CAPITAL, {}, true), {})).rejects.toMatchObject(refused);
    } finally {
      weights = async () => 'weights-1';
    }
  });
});
