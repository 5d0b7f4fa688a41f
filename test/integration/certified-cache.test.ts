import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keysOf } from '../../activities/cache/cache-key.js';
import { Entries } from '../../activities/cache/entries.js';
import { Budget, inspectText } from '../../activities/cache/index.js';
import type { Judge } from '../../activities/cache/judge.js';
import { differenceOf } from '../../activities/cache/lexical-guard.js';
import { SimilarTexts } from '../../activities/cache/similar-texts.js';
import { attackPairs } from '../../bench/cache/attacks.js';
import { type Pair, readPairs } from '../../bench/cache/pairs.js';
import { Evidence, labelsToOpen, reportWrong } from '../../stores/evidence/index.js';
import { connected, createRedis, VectorSets } from '../../stores/redis/index.js';
import { model, never, openCache, recordingLogger, request, type TestCache } from '../support/caches.js';
import { openEmbedder } from '../support/embedder.js';
import { address } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

let redis: Redis;
let embedder: ReturnType<typeof openEmbedder>;
let test: TestCache;
const tenant = () => `certified-${process.pid}-${Math.random().toString(36).slice(2)}`;

beforeAll(async () => {
  redis = createRedis({ url: address('REDIS_CACHE_URL'), timeoutMs: 10_000, logger: recordingLogger().logger });
  await connected(redis, 30_000);
  embedder = openEmbedder();
  test = openCache(redis, embedder);
});
afterAll(() => {
  redis.disconnect();
  embedder.close();
});

const through = (key: string, text: string, more: Parameters<typeof request>[1] = {}) =>
  test.cache.through(request(key, { minSimilarity: 0.7, ...more }), model(text).ask, never());

const THINGS = 'receipt badge locker permit voucher brochure ticket map stamp key'.split(' ');
const KINDS = 'green blue yellow paper plastic wooden spare second-hand festival library'.split(' ');
/** Two questions that differ softly and say the same, one for each number. */
const softPair = (i: number): [string, string] => {
  const thing = `a ${KINDS[Math.floor(i / 10) % 10]} ${THINGS[i % 10]}`;
  return [`How do I get ${thing}?`, `How can I obtain ${thing}?`];
};

/** Asks pairs of a stage; each pair is out of the others' sight. */
async function askPairs(own: Parameters<typeof request>[1], from: number, count: number, right: boolean) {
  const outcomes: string[] = [];
  for (let i = from; i < from + count; i += 1) {
    const [a, b] = softPair(i);
    const apart = { ...own, principal: `p${from}-${i}` };
    await through(a, 'A', apart);
    const found = await through(b, right ? 'A' : 'B', apart);
    outcomes.push(found.by?.tier ?? found.outcome);
  }
  return outcomes;
}

describe('a semantic cache with a maximum error rate', () => {
  it('starts closed, opens after enough right labels, and closes and evicts on a report', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 0 };
    expect(differenceOf(...softPair(0))?.soft).toBe(true);
    const needed = labelsToOpen(0.1);
    expect(await askPairs(own, 0, needed, true)).toEqual(Array(needed).fill('miss'));
    // A worker reads the state anew each second.
    test = openCache(redis, embedder);
    const [a, b] = softPair(60);
    await through(a, 'A', own);
    const hit = await through(b, 'B', own);
    expect(hit).toMatchObject({ output: { text: 'A' }, outcome: 'hit', by: { tier: 'verifier' } });
    expect(hit.by?.bound).toBeLessThanOrEqual(0.1);
    expect(hit.by?.score).toBeGreaterThanOrEqual(0.5);

    if (!hit.by) throw new Error('no hit');
    expect(await reportWrong(redis, tenant(), hit.by)).toBe(false);
    expect(await reportWrong(redis, own.tenant, hit.by)).toBe(true);
    expect(await reportWrong(redis, own.tenant, hit.by)).toBe(false);
    test = openCache(redis, embedder);
    expect(await through(a, 'new A', own)).toMatchObject({ output: { text: 'new A' }, outcome: 'miss' });
    expect((await through(b, 'B', own)).by?.tier).not.toBe('verifier');
    const [[, state] = []] = await new Evidence(redis).all(own.tenant);
    expect(state).toMatchObject({ open: 0, reported: 1, closed: 1 });
  });

  it('stays closed while answers differ', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 0 };
    const needed = labelsToOpen(0.1);
    await askPairs(own, 0, needed + 10, false);
    test = openCache(redis, embedder);
    expect(await askPairs(own, 80, 3, true)).toEqual(['miss', 'miss', 'miss']);
  });

  it('asks a share of its hits again and counts what the fresh answer says', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 1 };
    await through('What is the height of the tower?', 'A', own);
    expect(await through('How tall is the tower?', 'B', own)).toMatchObject({ outcome: 'miss', output: { text: 'B' } });
    const [[, state] = []] = await new Evidence(redis).all(own.tenant);
    expect(state?.steps[0]).toEqual({ labels: 1, wrong: 1 });
  });
});

describe('a model that compares answers', () => {
  const agree = { by: 'model', model: 'judge' } as const;
  const counted = async ({ metrics }: TestCache) => {
    const { values } = await metrics.cacheLabels.get();
    const of = (label: string) =>
      values.filter((each) => each.labels.label === label).reduce((sum, { value }) => sum + value, 0);
    return { right: of('right'), wrong: of('wrong') };
  };
  const asking = async (own: Parameters<typeof request>[1], cache: TestCache['cache'], i: number, fresh: string) => {
    const [a, b] = softPair(i);
    const apart = { ...own, principal: `j${i}`, minSimilarity: 0.7 };
    await cache.through(request(a, apart), model('It opens at nine.').ask, never());
    return await cache.through(request(b, apart), model(fresh).ask, never());
  };

  it('labels hits in the background: no caller waits for it, and what it does not say is no label', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 0, agree };
    const open: ((same: boolean | undefined) => void)[] = [];
    const seen: unknown[] = [];
    const judge: Judge = {
      isSame: (pair, _, caller) => {
        seen.push([pair, caller]);
        return new Promise((resolve) => open.push(resolve));
      },
    };
    const judged = openCache(redis, embedder, {}, undefined, { judge });
    const { cache } = judged;
    expect(await asking(own, cache, 0, 'At 9.')).toMatchObject({ output: { text: 'At 9.' }, outcome: 'miss' });
    expect(seen).toEqual([
      [
        {
          cached: { question: softPair(0)[0], answer: 'It opens at nine.' },
          fresh: { question: softPair(0)[1], answer: 'At 9.' },
        },
        { tenant: own.tenant, priority: 'batch' },
      ],
    ]);
    await asking(own, cache, 1, 'At ten.');
    // Two at once: the third gets no label.
    await asking(own, cache, 2, 'At nine.');
    expect(seen).toHaveLength(2);
    open[0]?.(true);
    open[1]?.(false);
    await expect.poll(() => counted(judged), { timeout: 30_000 }).toEqual({ right: 1, wrong: 1 });
    await asking(own, cache, 3, 'Nine.');
    open[2]?.(undefined);
    // The same text needs no model.
    await asking(own, cache, 4, 'It opens at nine');
    await expect.poll(() => counted(judged), { timeout: 30_000 }).toEqual({ right: 2, wrong: 1 });
    expect(seen).toHaveLength(3);
  });

  it('that fails labels nothing, and says so', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 0, agree };
    const judge: Judge = { isSame: () => Promise.reject(new Error('no such pool')) };
    const judged = openCache(redis, embedder, {}, undefined, { judge });
    const { cache, warnings } = judged;
    for (const i of [0, 1, 2]) expect((await asking(own, cache, i, 'At 9.')).outcome).toBe('miss');
    await expect.poll(() => warnings.map(({ message }) => message)).toContain('hit of the semantic cache not judged');
    expect(await counted(judged)).toEqual({ right: 0, wrong: 0 });
  });
});

describe('a full partition', () => {
  it('loses the text that nobody has looked at for the longest time', async () => {
    const own = request('x', { tenant: tenant() });
    const entries = new Entries(redis);
    const similar = new SimilarTexts(new VectorSets(redis), entries, 3);
    const store = async (key: string) => {
      const at = keysOf({ ...own, key }, 'weights');
      await entries.store(at, 'nobody', { text: key, output: { text: key } }, 60_000);
      const vector = () => embedder.embed(key, never(), { tenant: own.tenant });
      await similar.add(at, { ...own, key }, vector, never());
      return at;
    };
    const kept = await store('What is a lake?');
    await store('Who wrote Hamlet?');
    await store('How far is the moon?');
    // IDLETIME counts whole seconds.
    await sleep(2_100);
    await redis.get(kept.entry);
    await store('Why is the sky blue?');
    expect(await redis.call('VCARD', kept.vectors)).toBe(3);
    expect(await redis.call('VEMB', kept.vectors, kept.id)).not.toBeNull();
  });
});

describe('what a cache keeps apart and does not keep', () => {
  it('serves no answer of another principal', async () => {
    const own = { tenant: tenant() };
    await through('What is the capital of France?', 'poison', { ...own, principal: 'chat/key:mallory' });
    for (const principal of ['chat/key:alice', undefined])
      expect(await through('What is the capital of France?', 'Paris', { ...own, principal })).toMatchObject({
        outcome: 'miss',
      });
  });

  it('removes the texts that share an answer with it', async () => {
    const own = { tenant: tenant() };
    await through('What is the height of the tower?', 'A', own);
    const shared = await through('How tall is the tower?', 'B', own);
    expect(shared.by).toMatchObject({ tier: 'guard' });
    expect((await through('How tall is the tower?', 'B', own)).by).toMatchObject({ tier: 'guard' });
    if (!shared.by) throw new Error('no hit');
    expect(await reportWrong(redis, own.tenant, shared.by)).toBe(true);
    expect(await through('How tall is the tower?', 'B', own)).toMatchObject({ outcome: 'miss', output: { text: 'B' } });
  });

  it('does not cache texts of the hour unless the author says so', async () => {
    const own = { tenant: tenant() };
    const key = 'What is the weather in Rome today?';
    await through(key, 'sun', own);
    expect(await through(key, 'rain', own)).toEqual({ output: { text: 'rain' }, outcome: 'off' });
    await through(key, 'sun', { ...own, timely: true });
    expect(await through(key, 'rain', { ...own, timely: true })).toMatchObject({ outcome: 'hit' });
  });

  it('stores a turn of a conversation only if its history has been asked about before', async () => {
    const own = { tenant: tenant(), context: { input: { messages: [{ role: 'user', content: 'About my cat.' }] } } };
    const stored = async () => (await redis.keys(`*${own.tenant}*:entry:*`)).length;
    expect((await through('How old can it get?', '20', own)).outcome).toBe('miss');
    expect(await stored()).toBe(0);
    expect((await through('How old can it get?', '20', own)).outcome).toBe('miss');
    expect(await stored()).toBe(1);
    expect((await through('How old can it get?', '21', own)).outcome).toBe('hit');
  });

  it('inspects the neighbours of a text', async () => {
    const own = { tenant: tenant() };
    await through('What is the capital of France?', 'Paris', own);
    await through('How do I get a red badge?', 'so', own);
    const near = async (text: string) => {
      const vector = await embedder.embed(text, never(), { tenant: own.tenant });
      return inspectText(redis, own.tenant, text, vector);
    };
    const [france] = await near('What is the capital of Spain?');
    expect(france).toMatchObject({ text: 'What is the capital of France?' });
    expect(france?.difference).toMatch(/^name: .*\(final\)$/);
    const [badge] = await near('How can I obtain a red badge?');
    expect(badge?.score).toBeGreaterThan(0.5);
  });
});

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
    await redis.set(keyOf(tenant, n), '{}', 'PX', TTL_MS);
    await budget.stored(answerOf(tenant, n), 300, costMs, TTL_MS);
  };
  const left = async (tenant: string, count: number) => {
    const all = await Promise.all(Array.from({ length: count }, (_, n) => redis.exists(keyOf(tenant, n))));
    return all.flatMap((exists, n) => (exists ? [n] : []));
  };

  it('loses what saves least for its size, and keeps what is used, dear or another tenant’s', async () => {
    const [own, other] = [tenant(), tenant()];
    const budget = new Budget(redis, 10_000, () => 1);
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
    const small = openCache(redis, embedder, {}, undefined, { heldBytes: 20_000 });
    for (let i = 0; i < 20; i += 1)
      await small.cache.through(request(`Who is number ${i}?`, own), model('A').ask, never());
    const [vectors = ''] = await redis.keys(`*${own.tenant}*:vectors`);
    const bounded = async () => {
      const { entries, bytes } = await small.budget.held(own.tenant);
      return { within: bytes <= 20_000 && entries > 5, same: Number(await redis.call('VCARD', vectors)) === entries };
    };
    await expect.poll(bounded, { timeout: 30_000 }).toEqual({ within: true, same: true });
  });

  it('keeps no vector that it does not count: nothing would remove it', async () => {
    const own = { tenant: tenant() };
    // The ledger cannot be written.
    await redis.set(`millrace:cache-budget:{${own.tenant}}:sum`, 'of another type');
    await through('How far is the moon?', 'A', own);
    expect(await redis.keys(`*${own.tenant}*:vectors`)).toEqual([]);
    expect(await through('How far is the moon?', 'unused', own)).toMatchObject({ outcome: 'hit' });
    await redis.del(`millrace:cache-budget:{${own.tenant}}:sum`);
    await through('How far is the sun?', 'B', own);
    expect(await redis.keys(`*${own.tenant}*:vectors`)).toHaveLength(1);
  });

  it('lets one caller store no more in an hour than its share of what all share', async () => {
    const own = { tenant: tenant() };
    const { cache } = openCache(redis, embedder, {}, undefined, { principalBytesPerHour: 1_000 });
    const ask = (key: string, insertedBy: string) =>
      cache.through(request(key, { ...own, insertedBy }), model('x'.repeat(600)).ask, never());
    await ask('Who wrote Hamlet?', 'p/mallory');
    await ask('How far is the moon?', 'p/mallory');
    expect(await ask('How far is the moon?', 'p/alice')).toMatchObject({ outcome: 'miss' });
    expect(await ask('How far is the moon?', 'p/mallory')).toMatchObject({ outcome: 'hit' });
  });

  it('counts embeddings in that share, and nothing that is too large to be stored', async () => {
    const own = { tenant: tenant(), insertedBy: 'mallory' };
    const { exact, vectors } = openCache(redis, embedder, {}, undefined, { principalBytesPerHour: 300_000 });
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

describe('500 attacks by another caller, on an embedder that finds all texts alike', () => {
  const attacks = readPairs('bench/cache/attacks/attacks.jsonl');
  /** The strongest attack on an embedding: every text has the victim's. */
  const alike = { fingerprint: async () => 'alike', embed: async () => Float32Array.of(1, 0) };
  const each = async (work: (pair: Pair, i: number) => Promise<void>) => {
    for (let from = 0; from < attacks.length; from += 20)
      await Promise.all(attacks.slice(from, from + 20).map((pair, i) => work(pair, from + i)));
  };

  it('are the ones that the script makes', () => {
    expect(attacks).toHaveLength(500);
    expect(attackPairs()).toEqual(attacks);
  });

  it('reach nobody: no answer of another principal, whatever the texts', async () => {
    const { cache, exact } = openCache(redis, alike);
    const own = { tenant: tenant(), maxErrorRate: 0.5, reask: 0 };
    const wrong: string[] = [];
    let kept = 0;
    await each(async ({ a, b }, i) => {
      const at = { ...own, pipeline: `p${i}` };
      const bad = model('poison').ask;
      for (const key of [a, b]) await cache.through(request(key, { ...at, principal: 'p/key:mallory' }), bad, never());
      const call = { tenant: own.tenant, pipeline: 'p', stage: 's', kind: 'chat', model: 'm', with: {}, ttlMs: 60_000 };
      const input = { prompt: b, i };
      const poison = { ...call, input, principal: 'key:mallory' };
      await exact.through(poison, bad, never());
      if ((await exact.through(poison, bad, never())).outcome === 'hit') kept += 1;
      for (const principal of ['p/key:alice', undefined]) {
        const asked = await cache.through(request(b, { ...at, principal }), model('good').ask, never());
        const called = await exact.through(
          { ...call, input, principal: principal?.slice(2) },
          model('good').ask,
          never(),
        );
        if (asked.output.text !== 'good' || called.output.text !== 'good') wrong.push(`${a} | ${b}`);
      }
    });
    expect(wrong).toEqual([]);
    expect(kept).toBe(500);
  });

  it('get no hit on the victim’s text where callers share, and would on the same text', async () => {
    const { cache } = openCache(redis, alike);
    const own = { tenant: tenant(), maxErrorRate: 0.05, reask: 0 };
    const wrong: string[] = [];
    let same = 0;
    await each(async ({ a, b }, i) => {
      const at = { ...own, pipeline: `p${i}` };
      await cache.through(request(a, at), model('poison').ask, never());
      const asked = await cache.through(request(b, at), model('good').ask, never());
      if (asked.output.text !== 'good') wrong.push(`${a} | ${b}`);
      if ((await cache.through(request(a, at), model('good').ask, never())).outcome === 'hit') same += 1;
    });
    expect(wrong).toEqual([]);
    expect(same).toBe(500);
  });
});

describe('millrace cache', () => {
  const millrace = (...args: string[]) =>
    promisify(execFile)(process.execPath, [MAIN, 'cache', ...args], {
      env: { ...process.env, ...testEnvironment({}), NO_COLOR: '1' },
    });

  it('reports what caches take and what hits are worth, and says why a near text is no hit', async () => {
    // Answers that outlast all commands: each takes seconds to start on a machine that does much else.
    const own = tenant();
    const kept = { tenant: own, ttlMs: 3_600_000 };
    const empty = JSON.parse((await millrace('report', '--tenant', own, '--json')).stdout);
    expect(empty).toMatchObject({ tenant: own, held: { entries: 0, bytes: 0, hits: 0 }, stages: [] });
    expect((await millrace('inspect', 'Who?', '--tenant', own)).stdout).toContain('has no cached texts');

    await askPairs({ ...kept, maxErrorRate: 0.1, reask: 0 }, 0, 3, true);
    for (let i = 0; i < 2; i += 1) await through('How high is the tower?', 'A', kept);
    const read = async () => JSON.parse((await millrace('report', '--tenant', own, '--json')).stdout);
    await expect.poll(async () => (await read()).held, { timeout: 90_000 }).toMatchObject({ entries: 7, hits: 1 });
    const { held, stages } = await read();
    expect(held.bytes).toBeGreaterThan(7_000);
    expect(held.mostBytes).toBe(128 * 1024 ** 2);
    expect(stages).toEqual([
      expect.objectContaining({ stage: 'test/answer', labels: 3, wrong: 0, threshold: null, reported: 0 }),
    ]);
    expect(stages[0].interval[1]).toBeLessThanOrEqual(1);
    const text = (await millrace('report', '--tenant', own)).stdout;
    expect(text).toMatch(/7 cached answers and embeddings, 0\.0 MiB of 128\.0 MiB; 1 hits/);
    expect(text).toMatch(/test\/answer +10\.0 % +3 +0 /);

    const asked = ['inspect', 'How high is the bridge?', '--tenant', own];
    const { near } = JSON.parse((await millrace(...asked, '--json')).stdout);
    expect(near[0]).toMatchObject({ text: 'How high is the tower?', difference: expect.stringMatching(/^word/) });
    expect(near[0].similarity).toBeGreaterThan(near.at(-1).similarity);
    expect((await millrace(...asked)).stdout).toMatch(
      /^similarity +cached text +difference +verifier\n0\.\d{3} +How high is the tower\?/,
    );
    await expect(millrace('report', '--tenant', own, '--tenants')).rejects.toMatchObject({ code: 2 });
  });
});
