import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { keysOf } from '../../activities/cache/cache-key.js';
import { Entries } from '../../activities/cache/entries.js';
import { inspectText } from '../../activities/cache/index.js';
import type { Judge } from '../../activities/cache/judge.js';
import { differenceOf } from '../../activities/cache/lexical-guard.js';
import { SimilarTexts } from '../../activities/cache/similar-texts.js';
import { Evidence, labelsToOpen, reportWrong } from '../../stores/evidence/index.js';
import { cachePrefix, VectorSets } from '../../stores/redis/index.js';
import { model, never, openCache, request, type TestCache } from '../support/caches.js';
import { realCache } from '../support/real-cache.js';
import { testEnvironment } from '../support/settings.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const real = realCache();
const tenant = () => `certified-${process.pid}-${Math.random().toString(36).slice(2)}`;

const through = (key: string, text: string, more: Parameters<typeof request>[1] = {}) =>
  real.test.cache.through(request(key, { minSimilarity: 0.7, ...more }), model(text).ask, never());

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
    real.test = openCache(real.redis, real.embedder);
    const [a, b] = softPair(60);
    await through(a, 'A', own);
    const hit = await through(b, 'B', own);
    expect(hit).toMatchObject({ output: { text: 'A' }, outcome: 'hit', by: { tier: 'verifier' } });
    expect(hit.by?.bound).toBeLessThanOrEqual(0.1);
    expect(hit.by?.score).toBeGreaterThanOrEqual(0.5);

    if (!hit.by) throw new Error('no hit');
    expect(await reportWrong(real.redis, tenant(), hit.by)).toBe(false);
    expect(await reportWrong(real.redis, own.tenant, hit.by)).toBe(true);
    expect(await reportWrong(real.redis, own.tenant, hit.by)).toBe(false);
    real.test = openCache(real.redis, real.embedder);
    expect(await through(a, 'new A', own)).toMatchObject({ output: { text: 'new A' }, outcome: 'miss' });
    expect((await through(b, 'B', own)).by?.tier).not.toBe('verifier');
    const [[, state] = []] = await new Evidence(real.redis).all(own.tenant);
    expect(state).toMatchObject({ open: 0, reported: 1, closed: 1 });
  });

  it('stays closed while answers differ', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 0 };
    const needed = labelsToOpen(0.1);
    await askPairs(own, 0, needed + 10, false);
    real.test = openCache(real.redis, real.embedder);
    expect(await askPairs(own, 80, 3, true)).toEqual(['miss', 'miss', 'miss']);
  });

  it('asks a share of its hits again and counts what the fresh answer says', async () => {
    const own = { tenant: tenant(), maxErrorRate: 0.1, reask: 1 };
    await through('What is the height of the tower?', 'A', own);
    expect(await through('How tall is the tower?', 'B', own)).toMatchObject({ outcome: 'miss', output: { text: 'B' } });
    const [[, state] = []] = await new Evidence(real.redis).all(own.tenant);
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
    const judged = openCache(real.redis, real.embedder, {}, undefined, { judge });
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
    const judged = openCache(real.redis, real.embedder, {}, undefined, { judge });
    const { cache, warnings } = judged;
    for (const i of [0, 1, 2]) expect((await asking(own, cache, i, 'At 9.')).outcome).toBe('miss');
    await expect.poll(() => warnings.map(({ message }) => message)).toContain('hit of the semantic cache not judged');
    expect(await counted(judged)).toEqual({ right: 0, wrong: 0 });
  });
});

describe('a full partition', () => {
  it('loses the text that nobody has looked at for the longest time', async () => {
    const own = request('x', { tenant: tenant() });
    const entries = new Entries(real.redis);
    const similar = new SimilarTexts(new VectorSets(real.redis), entries, 3);
    const store = async (key: string) => {
      const at = keysOf({ ...own, key }, 'weights');
      await entries.store(at, 'nobody', { text: key, output: { text: key } }, 60_000);
      const vector = () => real.embedder.embed(key, never(), { tenant: own.tenant });
      await similar.add(at, { ...own, key }, vector, never());
      return at;
    };
    const kept = await store('What is a lake?');
    await store('Who wrote Hamlet?');
    await store('How far is the moon?');
    // IDLETIME counts whole seconds.
    await sleep(2_100);
    await real.redis.get(kept.entry);
    await store('Why is the sky blue?');
    expect(await real.redis.call('VCARD', kept.vectors)).toBe(3);
    expect(await real.redis.call('VEMB', kept.vectors, kept.id)).not.toBeNull();
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
    expect(await reportWrong(real.redis, own.tenant, shared.by)).toBe(true);
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
    const stored = async () => (await real.redis.keys(`*${own.tenant}*:entry:*`)).length;
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
      const vector = await real.embedder.embed(text, never(), { tenant: own.tenant });
      return inspectText(real.redis, own.tenant, text, vector);
    };
    const [france] = await near('What is the capital of Spain?');
    expect(france).toMatchObject({ text: 'What is the capital of France?' });
    expect(france?.difference).toMatch(/^name: .*\(final\)$/);
    const [badge] = await near('How can I obtain a red badge?');
    expect(badge?.score).toBeGreaterThan(0.5);
  });
});

describe('millrace cache', () => {
  const millraceWith = (env: Record<string, string>, ...args: string[]) =>
    promisify(execFile)(process.execPath, [MAIN, 'cache', ...args], {
      env: { ...process.env, ...testEnvironment({}), NO_COLOR: '1', ...env },
    });
  const millrace = (...args: string[]) => millraceWith({}, ...args);

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

  it('clears what is cached for a tenant, and nothing of another', async () => {
    const both = [tenant(), tenant()] as const;
    const [own, other] = both;
    const set = (name: string) => `${cachePrefix(name, 'ab'.repeat(32))}:vectors`;
    for (const name of both) {
      await through('How high is the tower?', 'A', { tenant: name, ttlMs: 3_600_000 });
      await real.test.vectors.write({ tenant: name, model: 'm', ttlMs: 3_600_000 }, [['a text', [1, 2]]], 1);
      for (let i = 0; i < 100; i += 1) await real.redis.call('VADD', set(name), 'VALUES', 2, 1, i, `text ${i}`);
      await expect.poll(async () => (await real.test.budget.held(name)).entries).toBe(2);
    }
    const lease = `${cachePrefix(own, 'ab'.repeat(32))}:lease:x`;
    await real.redis.set(lease, 'a worker whose call is under way', 'PX', 3_600_000);
    // The time of a lookup is not that of a command.
    const { stdout } = await millraceWith({ MILLRACE_REDIS_TIMEOUT_MS: '1' }, 'clear', '--tenant', own, '--json');
    expect(JSON.parse(stdout)).toEqual({ tenant: own, removed: 2 });
    expect(await real.redis.keys(`millrace:cache*${own}*`)).toEqual([lease]);
    expect(await real.redis.zscore('millrace:cache-tenants', own)).toBeNull();
    expect(await through('How high is the tower?', 'B', { tenant: own })).toMatchObject({ outcome: 'miss' });
    expect(await real.redis.call('VCARD', set(other))).toBe(100);
    expect(await through('How high is the tower?', 'unused', { tenant: other, ttlMs: 3_600_000 })).toMatchObject({
      output: { text: 'A' },
      outcome: 'hit',
    });
    expect((await millrace('clear', '--tenant', own)).stdout).toMatch(/^1 cached answers and embeddings of tenant/);
    await expect(millrace('clear')).rejects.toMatchObject({ code: 2 });
    await expect(millrace('clear', '--tenant', 'A/B')).rejects.toMatchObject({ code: 2 });
  });
});
