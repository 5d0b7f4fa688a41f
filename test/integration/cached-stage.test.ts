import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { exactKeysOf } from '../../activities/cache/cache-key.js';
import type { Embedder, ExactRequest } from '../../activities/cache/index.js';
import { shortest } from '../../activities/connectors/contract/expect.js';
import type { Pools } from '../../activities/pools/index.js';
import { throughCache } from '../../activities/stage/cached-stage.js';
import type { Attempt } from '../../activities/stage/serving.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ExactCacheCall, StageCall } from '../../pipelines/run/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { openCache, recordingLogger, type TestCache } from '../support/caches.js';
import { openEmbedder } from '../support/embedder.js';
import { address } from '../support/runs.js';
import { fakePools } from '../unit/activities/pools/fakes.js';

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
  redis = createRedis({ url: address('REDIS_CACHE_URL'), timeoutMs: 10_000, logger });
  expect(await connected(redis, 30_000)).toBe(true);
  embedder = openEmbedder();
  test = openCache(redis, embedder);
});
afterAll(() => {
  redis.disconnect();
  embedder.close();
});

const pools = { get: () => ({ answersAs: () => weights() }) } as unknown as Pools;

/** The artifacts that have been removed. */
const removed = new Set<string>();
const hasArtifact = async (_: string, uri: string) => !removed.has(uri);
const indexVersion = async () => '1';
const media = { hasArtifact, indexVersion };

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
function ask(
  stage: StageCall,
  output: JsonObject,
  code: ReadonlyMap<string, CodeStage> = new Map(),
  input: JsonObject = {},
  of: Pools = pools,
) {
  const { logger } = recordingLogger();
  const parts = { ...test, pools: of, code, logger, ...media };
  return throughCache(parts, input, stage, attempt, async () => ({ output, endpoint: 'e', device: 'd' }));
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

describe('a stage whose verifier has a model of entailment', () => {
  it('is served by it once its labels permit that, and its outcome says so', async () => {
    const entailment = { identity: async () => 'nli', scores: async () => [0.98, 0.97] };
    const opened = () => openCache(redis, embedder, {}, undefined, { entailment });
    const own = tenant();
    const asks = (text: string, thing: string, { cache }: TestCache, principal = thing) => {
      const { cache: before, ...stage } = call(own, `${text} a ${thing} badge?`);
      const verifier = { entailment: 'nli', label: 'entailment', timeoutMs: 30_000 };
      // Four right labels open a stage at this rate.
      const certified = { minSimilarity: 0.5, maxErrorRate: 0.5, reask: 0, verifier, principal };
      const parts = { ...test, cache, pools, code: new Map(), logger: recordingLogger().logger, ...media };
      const certifiedStage = { ...stage, cache: { ...before, ...certified } } as StageCall;
      const serve = async () => ({ output: { text: 'At the desk.' }, endpoint: 'e', device: 'd' });
      return throughCache(parts, {}, certifiedStage, attempt, serve);
    };
    const first = opened();
    for (const thing of ['red', 'green', 'blue', 'yellow', 'white', 'black']) {
      await asks('How do I get', thing, first);
      await asks('How can I obtain', thing, first);
    }
    const second = opened();
    // A pair with a label: its score is one of those that are permitted.
    await asks('How do I get', 'red', second, 'another caller');
    expect(await asks('How can I obtain', 'red', second, 'another caller')).toMatchObject({
      cache: 'hit',
      endpoint: 'cache',
      cachedBy: { tier: 'entailment', entailment: 0.97, score: expect.any(Number), bound: expect.any(Number) },
    });
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
    const ms = await shortest(1_000, async () => {
      const own = tenant();
      await expect(ask(call(own, CAPITAL, {}, true), { text: 'other' })).rejects.toMatchObject(refused);
      const started = performance.now();
      expect(await ask(call(own, CAPITAL), { text: 'Paris' })).toMatchObject({ cache: 'miss' });
      return performance.now() - started;
    });
    expect(ms).toBeLessThan(1_000);
  });

  it('does not wait for an answer that somebody else is getting', async () => {
    const own = tenant();
    let answer: () => void = () => undefined;
    const request = { ...call(own, CAPITAL) };
    const parts = {
      pools: { get: () => ({ answersAs: weights }) } as unknown as Pools,
      ...test,
      code: new Map<string, CodeStage>(),
      logger: recordingLogger().logger,
      ...media,
    };
    let called: () => void = () => undefined;
    const inCall = new Promise<void>((resolve) => {
      called = resolve;
    });
    const slow = throughCache(parts, {}, request, attempt, async () => {
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

describe('an exact cache on real Redis', () => {
  const exactly = (tenant: string, more: Partial<StageCall> = {}, cache: Partial<ExactCacheCall> = {}) =>
    call(tenant, '', { kind: 'classify', cache: { kind: 'exact', ttlMs: 60_000, ...cache }, ...more });
  const labelled = (label: string) => ({ label, score: 1, scores: { [label]: 1 } });
  const ref = (sha: string, more: object = {}) => ({
    uri: `artifact://t/${sha.repeat(64)}`,
    sha256: sha.repeat(64),
    mime: 'image/png',
    bytes: 3,
    ...more,
  });

  it('serves a result to the same input, of another pipeline too, and to no other', async () => {
    const own = tenant();
    const input = { text: 'a', nested: { list: [1, 2] } };
    const other = (more: JsonObject) => ask(exactly(own), labelled('other'), undefined, { ...input, ...more });
    expect(await ask(exactly(own), labelled('first'), undefined, input)).toMatchObject({ cache: 'miss' });
    const again = await ask(exactly(own, { pipeline: 'q', stage: 's' }), labelled('x'), undefined, {
      nested: { list: [1, 2] },
      text: 'a',
    });
    expect(again).toMatchObject({ output: labelled('first'), cache: 'hit', endpoint: 'cache' });
    expect(again.cachedBy).toMatchObject({ tier: 'exact' });
    expect(await other({ text: 'A' })).toMatchObject({ cache: 'miss' });
    expect(await other({ nested: { list: [2, 1] } })).toMatchObject({ cache: 'miss' });
    for (const more of [
      { with: { top: 2 } },
      { tenant: tenant() },
      { cache: { kind: 'exact' as const, ttlMs: 60_000, principal: 'p/bob' } },
      // A stage whose results end with the day must not get one that does not.
      { cache: { kind: 'exact' as const, ttlMs: 60_000, untilMidnight: 'Europe/Berlin' } },
      { cache: { kind: 'exact' as const, ttlMs: 60_000, version: '"v2"' } },
    ]) {
      expect(await ask(exactly(own, more), labelled('y'), undefined, input)).toMatchObject({ cache: 'miss' });
    }
    weights = async () => 'weights-2';
    try {
      expect(await ask(exactly(own), labelled('y'), undefined, input)).toMatchObject({ cache: 'miss' });
    } finally {
      weights = async () => 'weights-1';
    }
  });

  it('tells pools apart whose servers report the same model', async () => {
    const { pools: alike } = fakePools(['a'], { names: ['one', 'other'] });
    try {
      const own = tenant();
      const asked = (model: string, kind: string, output: JsonObject) =>
        ask(exactly(own, { model, kind }), output, undefined, { text: 'a' }, alike);
      for (const [kind, output] of [
        ['classify', labelled('a')],
        ['embed', { embedding: [1, 2] }],
      ] as const) {
        expect(await asked('one', kind, output)).toMatchObject({ cache: 'miss' });
        expect(await asked('one', kind, output)).toMatchObject({ cache: 'hit' });
        expect(await asked('other', kind, output)).toMatchObject({ cache: 'miss' });
      }
    } finally {
      alike.close();
    }
  });

  it('knows media by their content, and gives up an answer whose media are gone', async () => {
    const own = tenant();
    const stage = exactly(own, { kind: 'synthesize' });
    const audio = { ...ref('c'), mime: 'audio/wav', durationMs: 1, sampleRate: 16_000, channels: 1 };
    await ask(stage, { audio }, undefined, { image: ref('a') });
    const same = () => ask(stage, { audio }, undefined, { image: ref('a', { durationMs: 7 }) });
    expect(await same()).toMatchObject({ cache: 'hit', output: { audio: { uri: audio.uri } } });
    expect(await ask(stage, { audio }, undefined, { image: ref('b') })).toMatchObject({ cache: 'miss' });
    removed.add(audio.uri);
    try {
      expect(await same()).toMatchObject({ cache: 'miss' });
    } finally {
      removed.clear();
    }
  });

  it('calls once for many at a time, and again when the caller dies', async () => {
    const own = tenant();
    let calls = 0;
    // A lease that outlasts a process that stands still: the one who calls would lose it to the others.
    const [some, others] = [1, 2].map(() => openCache(redis, embedder, { leaseMs: 60_000 })) as [TestCache, TestCache];
    const asked = async () => {
      const counts = await Promise.all([some, others].map(({ metrics }) => metrics.cacheSeconds.get()));
      const values = counts.flatMap((count) => count.values);
      return values.reduce((sum, { metricName, value }) => sum + (metricName?.endsWith('_count') ? value : 0), 0);
    };
    const serve = async () => {
      calls += 1;
      // Until all have asked: one that asks later has a hit.
      await expect.poll(asked).toBe(20);
      return { output: labelled('one'), endpoint: 'e', device: 'd' };
    };
    const parts = { pools, code: new Map<string, CodeStage>(), logger: recordingLogger().logger, ...media };
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        throughCache({ ...parts, ...(i % 2 ? some : others) }, { text: 'x' }, exactly(own), attempt, serve),
      ),
    );
    expect(calls).toBe(1);
    expect(all.map(({ cache }) => cache).sort()).toEqual(['miss', ...Array<string>(19).fill('shared')]);

    // A worker that is killed in its call renews its lease no more.
    const request = { ...exactRequest(own), input: { text: 'killed' } };
    const at = exactKeysOf(request);
    await redis.set(at.lease, 'a dead worker', 'PX', 600);
    const found = await test.exact.through(request, async () => labelled('mine'), attempt.signal);
    expect(found).toMatchObject({ outcome: 'miss', output: labelled('mine') });
  });

  const exactRequest = (own: string): ExactRequest => ({
    tenant: own,
    pipeline: 'p',
    stage: 's',
    kind: 'classify',
    model: 'm@w',
    with: {},
    input: {},
    ttlMs: 60_000,
  });

  it('serves a failure that the input causes where asked, and no other', async () => {
    const own = tenant();
    const through = async (error: Error | undefined, more: Partial<ExactRequest> = {}) =>
      test.exact
        .through(
          { ...exactRequest(own), ...more },
          async () => (error ? Promise.reject(error) : labelled('fine')),
          attempt.signal,
        )
        .then(
          ({ outcome }) => outcome,
          (thrown) => `${thrown.code}: ${thrown.message}`,
        );
    const negativeMs = 30_000;
    const bad = new MillraceError('INVALID_MEDIA', 'no sound', { fields: [{ field: 'audio', message: 'none' }] });
    expect(await through(bad, { negativeMs })).toBe('INVALID_MEDIA: no sound');
    expect(await through(undefined, { negativeMs })).toBe('INVALID_MEDIA: no sound');
    expect(await through(undefined)).toBe('miss');
    expect(await through(undefined, { negativeMs })).toBe('hit');
    // Somebody else's stage keeps failures for longer than this one serves them.
    const old = { input: { text: 'old' } };
    expect(await through(bad, { ...old, negativeMs })).toBe('INVALID_MEDIA: no sound');
    await sleep(20);
    expect(await through(undefined, { ...old, negativeMs })).toBe('INVALID_MEDIA: no sound');
    expect(await through(undefined, { ...old, negativeMs: 10 })).toBe('miss');
    for (const code of ['BACKEND_UNAVAILABLE', 'BACKEND_REJECTED'] as const) {
      const elsewhere = { negativeMs, input: { text: code } };
      expect(await through(new MillraceError(code, 'away'), elsewhere)).toBe(`${code}: away`);
      expect(await through(undefined, elsewhere)).toBe('miss');
    }
  });

  it('misses while Redis is away, and never fails', async () => {
    const away = createRedis({ url: 'redis://127.0.0.1:1', timeoutMs: 50, logger: recordingLogger().logger });
    try {
      const { exact, vectors } = openCache(away, embedder);
      const made = await exact.through(exactRequest(tenant()), async () => labelled('a'), attempt.signal);
      expect(made).toEqual({ output: labelled('a'), outcome: 'bypass' });
      expect(await vectors.read({ tenant: 't', model: 'm', ttlMs: 1_000 }, ['a'])).toBeUndefined();
    } finally {
      away.disconnect();
    }
  });
});
