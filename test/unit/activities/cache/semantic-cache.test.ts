import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Embedder } from '../../../../activities/cache/index.js';
import { model, never, openCache, request } from '../../../support/caches.js';
import { faultyRedis } from '../../../support/faulty-redis.js';

const embedder: Embedder = { fingerprint: async () => 'f', embed: async () => new Float32Array([1, 0]) };

describe('semantic cache with faults', () => {
  it('asks once and warns once when Redis fails', async () => {
    const { cache, warnings, metrics } = openCache(faultyRedis(() => true).redis, embedder);
    const { ask, calls } = model('Paris');
    for (let i = 1; i <= 3; i += 1) {
      expect(await cache.through(request('x'), ask, never())).toEqual({ output: { text: 'Paris' }, outcome: 'bypass' });
      expect(calls()).toBe(i);
    }
    expect(warnings).toHaveLength(1);
    const { values } = await metrics.cacheLookups.get();
    expect(values).toMatchObject([{ labels: { pipeline: 'test', stage: 'answer', outcome: 'bypass' }, value: 3 }]);
  });

  it('serves the answer that it cannot keep', async () => {
    const { cache, warnings } = openCache(faultyRedis((command) => command === 'store').redis, embedder);
    const { ask, calls } = model('Paris');
    expect(await cache.through(request('x'), ask, never())).toEqual({ output: { text: 'Paris' }, outcome: 'bypass' });
    expect(calls()).toBe(1);
    expect(warnings.map(({ message }) => message)).toEqual(['answer not stored in the semantic cache']);
  });

  it.each([
    ['fingerprint', { ...embedder, fingerprint: () => Promise.reject(new Error('no model')) }],
    ['fingerprint for ever', { ...embedder, fingerprint: () => new Promise<string>(() => undefined) }],
  ])('bypasses when the embedder fails: %s', async (_, broken) => {
    const { cache, warnings } = openCache(faultyRedis(() => false).redis, broken, { embedMs: 50 });
    const { ask, calls } = model('Paris');
    expect(await cache.through(request('x'), ask, never())).toMatchObject({ outcome: 'bypass' });
    expect(calls()).toBe(1);
    expect(warnings).toHaveLength(1);
  });

  it('passes an error of the model unchanged and frees the lease', async () => {
    const { redis, sent } = faultyRedis(() => false);
    const failure = new Error('model down');
    const { cache } = openCache(redis, embedder);
    await expect(cache.through(request('x'), () => Promise.reject(failure), never())).rejects.toBe(failure);
    expect(sent).toEqual(['claim', 'release']);
  });

  it('keeps no answer without content', async () => {
    for (const output of [{ text: ' ' }, {}, { list: [] }, { text: null }]) {
      const { redis, sent } = faultyRedis(() => false);
      const { cache } = openCache(redis, embedder);
      expect(await cache.through(request('x'), async () => output, never())).toEqual({ output, outcome: 'miss' });
      expect(sent, JSON.stringify(output)).not.toContain('store');
      expect(sent).toContain('release');
      expect(sent).not.toContain('sendOff');
    }
  });

  it('lets all go that wait for an answer that is too large', async () => {
    const { redis, sent } = faultyRedis(() => false);
    const output = { text: 'x'.repeat(300_000) };
    const found = await openCache(redis, embedder).cache.through(request('x'), async () => output, never());
    expect(found).toEqual({ output, outcome: 'miss' });
    expect(sent).toContain('sendOff');
    expect(sent).not.toContain('store');
  });

  it('leaves silence alone', async () => {
    const { redis, sent } = faultyRedis(() => false);
    expect(await openCache(redis, embedder).cache.through(request('  '), model('?').ask, never())).toMatchObject({
      outcome: 'off',
    });
    expect(sent).toEqual([]);
  });

  it('ends with the signal’s reason, before and during the lookup', async () => {
    const { cache } = openCache(faultyRedis(() => false).redis, {
      ...embedder,
      fingerprint: () => new Promise<string>(() => undefined),
    });
    const { ask, calls } = model('never');
    const reason = new Error('cancelled');
    await expect(cache.through(request('x'), ask, AbortSignal.abort(reason))).rejects.toBe(reason);
    const abort = new AbortController();
    const waiting = cache.through(request('x'), ask, abort.signal);
    setTimeout(() => abort.abort(reason), 10);
    await expect(waiting).rejects.toBe(reason);
    expect(calls()).toBe(0);
  });
});

describe('a semantic cache whose answers end with the day', () => {
  afterEach(() => void vi.useRealTimers());

  it('keeps no answer that was begun yesterday', async () => {
    const { redis, sent } = faultyRedis(() => false);
    const { cache } = openCache(redis, embedder);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 5, 1, 21, 59) });
    const ask = async () => {
      vi.setSystemTime(Date.UTC(2026, 5, 1, 22, 1));
      return { text: 'of the first of June' };
    };
    const found = await cache.through(request('x', { untilMidnight: 'Europe/Berlin' }), ask, never());
    expect(found).toEqual({ output: { text: 'of the first of June' }, outcome: 'miss' });
    expect(sent).not.toContain('store');
    expect(sent).toContain('release');
  });

  it('makes the call, keeps nothing and frees the lease where the time zone is not known', async () => {
    const { redis, sent } = faultyRedis(() => false);
    const elsewhere = request('x', { untilMidnight: 'Europe/Atlantis' });
    const found = await openCache(redis, embedder).cache.through(elsewhere, model('Paris').ask, never());
    expect(found).toEqual({ output: { text: 'Paris' }, outcome: 'miss' });
    expect(sent).toContain('release');
    expect(sent).not.toContain('store');
  });
});
