import { describe, expect, it } from 'vitest';
import { attackPairs } from '../../bench/cache/attacks.js';
import { type Pair, readPairs } from '../../bench/cache/pairs.js';
import { model, never, openCache, request } from '../support/caches.js';
import { realCache } from '../support/real-cache.js';

const real = realCache();
const tenant = () => `certified-${process.pid}-${Math.random().toString(36).slice(2)}`;

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
    const { cache, exact } = openCache(real.redis, alike);
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
    const { cache } = openCache(real.redis, alike);
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
