import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CacheRequest, Embedder } from '../../../../activities/cache/index.js';
import { model, never, openCache, request } from '../../../support/caches.js';
import { faultyRedis } from '../../../support/faulty-redis.js';

const embedder: Embedder = { fingerprint: async () => 'f', embed: async () => new Float32Array([1, 0]) };
const MINUTE = 60_000;

/** The caches of a worker for which another one has the lease of all texts, until it has ended with a `reply` to their claims. */
function waiting() {
  const other: { reply: string | number } = { reply: 0 };
  const { redis } = faultyRedis(
    () => false,
    (command) => (command === 'claim' ? other.reply : undefined),
  );
  const { cache, exact } = openCache(redis, embedder);
  const { ask, calls } = model('own');
  const through = (kind: string, endsAt: number, waits?: CacheRequest['waiting']) => {
    const { tenant, pipeline, stage, key, ttlMs } = request('a');
    const own = { endsAt, waiting: waits };
    const call = { tenant, pipeline, stage, kind: 'chat', model: 'm', with: {}, input: { key }, ttlMs, ...own };
    return kind === 'exact' ? exact.through(call, ask, never()) : cache.through(request(key, own), ask, never());
  };
  return { other, through, calls };
}

describe.each(['exact', 'semantic'])('who waits for the call of another worker: %s', (kind) => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('has its answer until three quarters of the own attempt are over', async () => {
    const { other, through, calls } = waiting();
    const found = through(kind, performance.now() + MINUTE);
    await vi.advanceTimersByTimeAsync(0.74 * MINUTE);
    other.reply = JSON.stringify({ text: 'a', output: { text: 'theirs' } });
    await vi.advanceTimersByTimeAsync(500);
    expect(await found).toMatchObject({ output: { text: 'theirs' }, outcome: 'shared' });
    expect(calls()).toBe(0);
  });

  it('calls by itself in the last quarter', async () => {
    const { through, calls } = waiting();
    const found = through(kind, performance.now() + MINUTE);
    await vi.advanceTimersByTimeAsync(0.74 * MINUTE);
    expect(calls()).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await found).toMatchObject({ output: { text: 'own' } });
    expect(calls()).toBe(1);
  });

  it('calls by itself as soon as the other one has an answer that is not kept', async () => {
    const { other, through, calls } = waiting();
    const found = through(kind, performance.now() + MINUTE);
    await vi.advanceTimersByTimeAsync(1_000);
    other.reply = 2;
    await vi.advanceTimersByTimeAsync(200);
    expect(await found).toMatchObject({ output: { text: 'own' } });
    expect(calls()).toBe(1);
  });

  it('calls by itself at once where no time is left', async () => {
    const { through, calls } = waiting();
    expect(await through(kind, performance.now())).toMatchObject({ output: { text: 'own' } });
    expect(calls()).toBe(1);
  });

  it('spends the wait as its attempt says', async () => {
    const { other, through } = waiting();
    const waits: string[] = [];
    const found = through(kind, performance.now() + MINUTE, async (wait) => {
      waits.push('begins');
      const theirs = await wait();
      waits.push('ends');
      return theirs;
    });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(waits).toEqual(['begins']);
    other.reply = JSON.stringify({ text: 'a', output: { text: 'theirs' } });
    await vi.advanceTimersByTimeAsync(200);
    expect(await found).toMatchObject({ outcome: 'shared' });
    expect(waits).toEqual(['begins', 'ends']);
  });
});

/** A Redis in which caches claim, mark and store one text, whose answer is `text`. */
function redisOfOne(text: string) {
  let state: 'free' | 'leased' | 'not kept' | 'stored' = 'free';
  let marked = false;
  const claim = () => {
    if (state === 'stored') return JSON.stringify({ text: 'a', output: { text } });
    if (state === 'not kept') return 2;
    if (state === 'leased') return 0;
    state = 'leased';
    return 1;
  };
  const mark = () => {
    if (marked) return 'it is there';
    marked = true;
    return 'OK';
  };
  return faultyRedis(
    () => false,
    (command) => {
      if (command === 'claim') return claim();
      if (command === 'mark') return mark();
      if (command === 'store') state = 'stored';
      // The fake calls the scripts of the ledger releases too.
      if (command === 'release' && state === 'leased') state = 'free';
      if (command === 'sendOff' && state === 'leased') state = 'not kept';
      return undefined;
    },
  ).redis;
}

describe('who waits for the first turn with a history', () => {
  it('leaves the call to the next one, whose answer is kept', async () => {
    const { cache } = openCache(redisOfOne('B'), embedder, { leaseMs: MINUTE });
    const { ask, calls } = model('B', 50);
    const turn = request('a', { context: { input: { messages: [{ role: 'user', content: 'About my cat.' }] } } });
    const all = await Promise.all([1, 2, 3].map(() => cache.through(turn, ask, never())));
    expect(all.map(({ output }) => output)).toEqual([{ text: 'B' }, { text: 'B' }, { text: 'B' }]);
    expect(calls()).toBe(2);
  });
});
