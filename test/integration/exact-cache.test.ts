import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { exactKeysOf } from '../../activities/cache/cache-key.js';
import type { ExactRequest } from '../../activities/cache/index.js';
import { throughCache } from '../../activities/stage/cached-stage.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ExactCacheCall, StageCall } from '../../pipelines/run/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';
import { createRedis } from '../../stores/redis/index.js';
import { attempt, cachedStages, call, tenant } from '../support/cached-stages.js';
import { openCache, recordingLogger, type TestCache } from '../support/caches.js';
import { fakePools } from '../unit/activities/pools/fakes.js';

const real = cachedStages();

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
    const other = (more: JsonObject) => real.ask(exactly(own), labelled('other'), undefined, { ...input, ...more });
    expect(await real.ask(exactly(own), labelled('first'), undefined, input)).toMatchObject({ cache: 'miss' });
    const again = await real.ask(exactly(own, { pipeline: 'q', stage: 's' }), labelled('x'), undefined, {
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
      expect(await real.ask(exactly(own, more), labelled('y'), undefined, input)).toMatchObject({ cache: 'miss' });
    }
    real.model.weights = async () => 'weights-2';
    try {
      expect(await real.ask(exactly(own), labelled('y'), undefined, input)).toMatchObject({ cache: 'miss' });
    } finally {
      real.model.weights = async () => 'weights-1';
    }
  });

  it('tells pools apart whose servers report the same model', async () => {
    const { pools: alike } = fakePools(['a'], { names: ['one', 'other'] });
    try {
      const own = tenant();
      const asked = (model: string, kind: string, output: JsonObject) =>
        real.ask(exactly(own, { model, kind }), output, undefined, { text: 'a' }, alike);
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
    await real.ask(stage, { audio }, undefined, { image: ref('a') });
    const same = () => real.ask(stage, { audio }, undefined, { image: ref('a', { durationMs: 7 }) });
    expect(await same()).toMatchObject({ cache: 'hit', output: { audio: { uri: audio.uri } } });
    expect(await real.ask(stage, { audio }, undefined, { image: ref('b') })).toMatchObject({ cache: 'miss' });
    real.removed.add(audio.uri);
    try {
      expect(await same()).toMatchObject({ cache: 'miss' });
    } finally {
      real.removed.clear();
    }
  });

  it('calls once for many at a time, and again when the caller dies', async () => {
    const own = tenant();
    let calls = 0;
    // A lease that outlasts a process that stands still: the one who calls would lose it to the others.
    const [some, others] = [1, 2].map(() => openCache(real.redis, real.embedder, { leaseMs: 60_000 })) as [
      TestCache,
      TestCache,
    ];
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
    const parts = {
      pools: real.pools,
      code: new Map<string, CodeStage>(),
      logger: recordingLogger().logger,
      ...real.media,
    };
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
    await real.redis.set(at.lease, 'a dead worker', 'PX', 600);
    const found = await real.test.exact.through(request, async () => labelled('mine'), attempt.signal);
    expect(found).toMatchObject({ outcome: 'miss', output: labelled('mine') });
  });

  it('lets all go at once that wait for a result which is not kept', async () => {
    const [some, others] = [0, 1].map(() => openCache(real.redis, real.embedder, { leaseMs: 60_000 })) as [
      TestCache,
      TestCache,
    ];
    const request = { ...exactRequest(tenant()), input: { text: 'large' } };
    const large = { label: 'x'.repeat(300_000) };
    let calls = 0;
    const produce = async () => {
      calls += 1;
      // The first one until another one waits, the others until all call.
      if (calls === 1) await sleep(200);
      else await expect.poll(() => calls, { timeout: 10_000 }).toBe(5);
      return large;
    };
    const all = await Promise.all(
      Array.from({ length: 5 }, (_, i) => (i % 2 ? some : others).exact.through(request, produce, attempt.signal)),
    );
    expect(all.map(({ outcome }) => outcome)).toEqual(Array<string>(5).fill('miss'));
    expect(calls).toBe(5);
  });

  it('leaves the call to the next one where only the allowance of the caller is used up', async () => {
    const limits = { principalBytesPerHour: 1_000 };
    const { exact } = openCache(real.redis, real.embedder, { leaseMs: 60_000 }, undefined, limits);
    const own = tenant();
    const large = { label: 'x'.repeat(800) };
    let calls = 0;
    const through = (insertedBy: string, text: string) =>
      exact.through(
        { ...exactRequest(own), input: { text }, insertedBy },
        async () => {
          calls += 1;
          await sleep(200);
          return large;
        },
        attempt.signal,
      );
    await through('alice', 'her own');
    const first = through('alice', 'of all');
    await expect.poll(() => calls).toBe(2);
    const all = await Promise.all([first, through('bob', 'of all'), through('carol', 'of all')]);
    expect(all.map(({ outcome }) => outcome).sort()).toEqual(['miss', 'miss', 'shared']);
    expect(calls).toBe(3);
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
      real.test.exact
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
      const { exact, vectors } = openCache(away, real.embedder);
      const made = await exact.through(exactRequest(tenant()), async () => labelled('a'), attempt.signal);
      expect(made).toEqual({ output: labelled('a'), outcome: 'bypass' });
      expect(await vectors.read({ tenant: 't', model: 'm', ttlMs: 1_000 }, ['a'])).toBeUndefined();
    } finally {
      away.disconnect();
    }
  });
});
