import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { shortest } from '../../activities/connectors/contract/expect.js';
import { throughCache } from '../../activities/stage/cached-stage.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';
import { attempt, cachedStages, call, tenant } from '../support/cached-stages.js';
import { openCache, recordingLogger, type TestCache } from '../support/caches.js';

const CAPITAL = 'What is the capital of France?';
const SAME = 'Which city is the capital of France?';

const real = cachedStages();

describe('a cached stage on real Redis and MiniLM', () => {
  it('serves an earlier answer, with what its schema has gained since', async () => {
    const own = tenant();
    expect(await real.ask(call(own, CAPITAL), { text: 'Paris' })).toEqual({
      output: { text: 'Paris' },
      endpoint: 'e',
      device: 'd',
      cache: 'miss',
    });
    expect(await real.ask(call(own, CAPITAL), { text: 'other' })).toMatchObject({
      output: { text: 'Paris', finish: 'stop' },
      endpoint: 'cache',
      device: '',
      cache: 'hit',
    });
  });

  it('asks again when what was kept does not fit any more, and keeps the new answer', async () => {
    const own = tenant();
    await real.ask(call(own, CAPITAL), { text: 12 });
    for (const expected of ['miss', 'hit']) {
      expect(await real.ask(call(own, CAPITAL), { text: 'Paris' })).toMatchObject({
        output: { text: 'Paris' },
        cache: expected,
      });
    }
  });

  it('passes over what does not fit under other words for the same', async () => {
    const own = tenant();
    await real.ask(call(own, CAPITAL), { text: 12 });
    expect(await real.ask(call(own, SAME), { text: 'Paris' })).toMatchObject({
      output: { text: 'Paris' },
      cache: 'miss',
    });
    expect(await real.ask(call(own, SAME), { text: 'other' })).toMatchObject({
      output: { text: 'Paris' },
      cache: 'hit',
    });
  });

  it('tells two shapes of a function’s output apart, and checks against the function’s own schema', async () => {
    const own = tenant();
    const stage = call(own, CAPITAL, { kind: 'code', model: 'look-up' });
    const functions = (output: z.ZodType) =>
      new Map([['look-up', { input: z.looseObject({}), output, run: () => undefined }]]);
    const before = functions(z.object({ city: z.string() }));
    const after = functions(z.object({ city: z.string(), country: z.string() }));
    await real.ask(stage, { city: 'Paris' }, before);
    expect(await real.ask(stage, { city: 'other' }, before)).toMatchObject({ output: { city: 'Paris' }, cache: 'hit' });
    const full = { city: 'Paris', country: 'France' };
    expect(await real.ask(stage, full, after)).toMatchObject({ output: full, cache: 'miss' });
    expect(await real.ask(stage, { city: 'other' }, before)).toMatchObject({ output: { city: 'Paris' }, cache: 'hit' });
  });
});

describe('a stage whose verifier has a model of entailment', () => {
  it('is served by it once its labels permit that, and its outcome says so', async () => {
    const entailment = { identity: async () => 'nli', scores: async () => [0.98, 0.97] };
    const opened = () => openCache(real.redis, real.embedder, {}, undefined, { entailment });
    const own = tenant();
    const asks = (text: string, thing: string, { cache }: TestCache, principal = thing) => {
      const { cache: before, ...stage } = call(own, `${text} a ${thing} badge?`);
      const verifier = { entailment: 'nli', label: 'entailment', timeoutMs: 30_000 };
      // Four right labels open a stage at this rate.
      const certified = { minSimilarity: 0.5, maxErrorRate: 0.5, reask: 0, verifier, principal };
      const parts = {
        ...real.test,
        cache,
        pools: real.pools,
        code: new Map(),
        logger: recordingLogger().logger,
        ...real.media,
      };
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
    await real.ask(call(own, CAPITAL), { text: 'Paris' });
    for (const key of [CAPITAL, SAME]) {
      expect(await real.ask(call(own, key, {}, true), { text: 'other' })).toMatchObject({
        output: { text: 'Paris', finish: 'stop' },
        endpoint: 'cache',
        cache: 'hit',
      });
    }
  });

  it('fails without one, asks nobody and keeps nobody waiting', async () => {
    const ms = await shortest(1_000, async () => {
      const own = tenant();
      await expect(real.ask(call(own, CAPITAL, {}, true), { text: 'other' })).rejects.toMatchObject(refused);
      const started = performance.now();
      expect(await real.ask(call(own, CAPITAL), { text: 'Paris' })).toMatchObject({ cache: 'miss' });
      return performance.now() - started;
    });
    expect(ms).toBeLessThan(1_000);
  });

  it('does not wait for an answer that somebody else is getting', async () => {
    const own = tenant();
    let answer: () => void = () => undefined;
    const request = { ...call(own, CAPITAL) };
    const parts = {
      pools: real.pools,
      ...real.test,
      code: new Map<string, CodeStage>(),
      logger: recordingLogger().logger,
      ...real.media,
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
    await expect(real.ask(call(own, CAPITAL, {}, true), {})).rejects.toMatchObject(refused);
    answer();
    expect(await slow).toMatchObject({ cache: 'miss' });
  });

  it('fails with what does not fit any more', async () => {
    const own = tenant();
    await real.ask(call(own, CAPITAL), { text: 12 });
    await expect(real.ask(call(own, CAPITAL, {}, true), {})).rejects.toMatchObject(refused);
  });

  it('fails when nobody knows what the model is', async () => {
    real.model.weights = () => Promise.reject(new Error('down'));
    try {
      await expect(real.ask(call(tenant(), CAPITAL, {}, true), {})).rejects.toMatchObject(refused);
    } finally {
      real.model.weights = async () => 'weights-1';
    }
  });
});
