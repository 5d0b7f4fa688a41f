import { describe, expect, it } from 'vitest';
import { Budget } from '../../activities/cache/index.js';
import { model, never, openCache, request } from '../support/caches.js';
import { realCache } from '../support/real-cache.js';

const real = realCache();
const tenant = () => `certified-${process.pid}-${Math.random().toString(36).slice(2)}`;

const through = (key: string, text: string, more: Parameters<typeof request>[1] = {}) =>
  real.test.cache.through(request(key, { minSimilarity: 0.7, ...more }), model(text).ask, never());

describe('the budget of a tenant', () => {
  const TTL_MS = 600_000;
  const answerOf = (tenant: string, n: number) => ({
    tenant,
    partition: 'ab'.repeat(32),
    id: n.toString(16).padStart(32, '0'),
  });
  const keyOf = (tenant: string, n: number) =>
    `millrace:cache:{${tenant}:${'ab'.repeat(32)}}:entry:${answerOf(tenant, n).id}`;
  const put = async (budget: Budget, tenant: string, n: number, costMs: number) => {
    await real.redis.set(keyOf(tenant, n), '{}', 'PX', TTL_MS);
    await budget.stored(answerOf(tenant, n), 300, costMs, TTL_MS);
  };
  const left = async (tenant: string, count: number) => {
    const all = await Promise.all(Array.from({ length: count }, (_, n) => real.redis.exists(keyOf(tenant, n))));
    return all.flatMap((exists, n) => (exists ? [n] : []));
  };

  it('loses what saves least for its size, and keeps what is used, dear or another tenant’s', async () => {
    const [own, other] = [tenant(), tenant()];
    const budget = new Budget(real.redis, 10_000, () => 1);
    await put(budget, other, 0, 1);
    for (let n = 0; n < 10; n += 1) await put(budget, own, n, n === 3 ? 5_000 : 100);
    for (let i = 0; i < 5; i += 1) await budget.used(answerOf(own, 7));
    for (let n = 10; n < 16; n += 1) await put(budget, own, n, 200);
    const kept = await left(own, 16);
    expect(kept).toHaveLength(10);
    expect(kept).toEqual(expect.arrayContaining([3, 7, 15]));
    expect(await left(other, 1)).toEqual([0]);
    expect(await budget.held(own)).toMatchObject({ entries: 10, bytes: 10_000, evicted: 6, hits: 5, savedMs: 500 });
    // What was used once does not stay for ever: newer answers reach its value.
    for (let n = 16; n < 200; n += 1) await put(budget, own, n, 200);
    expect(await left(own, 16)).toEqual([3]);
  });

  it('bounds what all caches of a tenant store, with their vectors', async () => {
    const own = { tenant: tenant() };
    const small = openCache(real.redis, real.embedder, {}, undefined, { heldBytes: 20_000 });
    for (let i = 0; i < 20; i += 1)
      await small.cache.through(request(`Who is number ${i}?`, own), model('A').ask, never());
    const [vectors = ''] = await real.redis.keys(`*${own.tenant}*:vectors`);
    const bounded = async () => {
      const { entries, bytes } = await small.budget.held(own.tenant);
      return {
        within: bytes <= 20_000 && entries > 5,
        same: Number(await real.redis.call('VCARD', vectors)) === entries,
      };
    };
    await expect.poll(bounded, { timeout: 30_000 }).toEqual({ within: true, same: true });
  });

  it('keeps no vector that it does not count: nothing would remove it', async () => {
    const own = { tenant: tenant() };
    // The ledger cannot be written.
    await real.redis.set(`millrace:cache-budget:{${own.tenant}}:sum`, 'of another type');
    await through('How far is the moon?', 'A', own);
    expect(await real.redis.keys(`*${own.tenant}*:vectors`)).toEqual([]);
    expect(await through('How far is the moon?', 'unused', own)).toMatchObject({ outcome: 'hit' });
    await real.redis.del(`millrace:cache-budget:{${own.tenant}}:sum`);
    await through('How far is the sun?', 'B', own);
    expect(await real.redis.keys(`*${own.tenant}*:vectors`)).toHaveLength(1);
  });

  it('lets one caller store no more in an hour than its share of what all share', async () => {
    const own = { tenant: tenant() };
    const { cache } = openCache(real.redis, real.embedder, {}, undefined, { principalBytesPerHour: 1_000 });
    const ask = (key: string, insertedBy: string) =>
      cache.through(request(key, { ...own, insertedBy }), model('x'.repeat(600)).ask, never());
    await ask('Who wrote Hamlet?', 'p/mallory');
    await ask('How far is the moon?', 'p/mallory');
    expect(await ask('How far is the moon?', 'p/alice')).toMatchObject({ outcome: 'miss' });
    expect(await ask('How far is the moon?', 'p/mallory')).toMatchObject({ outcome: 'hit' });
  });

  it('counts embeddings in that share, and nothing that is too large to be stored', async () => {
    const own = { tenant: tenant(), insertedBy: 'mallory' };
    const { exact, vectors } = openCache(real.redis, real.embedder, {}, undefined, { principalBytesPerHour: 300_000 });
    const call = { ...own, pipeline: 'p', stage: 's', kind: 'classify', model: 'm', with: {}, ttlMs: 60_000 };
    const large = async () => ({ text: 'x'.repeat(270_000) });
    for (let i = 0; i < 2; i += 1) await exact.through({ ...call, input: { text: 'large' } }, large, never());
    const space = { ...own, model: 'm', ttlMs: 60_000 };
    const vector = Array<number>(25_000).fill(1);
    const kept = async (text: string) => {
      await vectors.write(space, [[text, vector]], 1);
      const [found] = (await vectors.read(space, [text])) ?? [];
      return found !== undefined;
    };
    expect([await kept('a'), await kept('b'), await kept('c')]).toEqual([true, true, false]);
  });
});
