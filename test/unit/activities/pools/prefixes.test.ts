import { describe, expect, it } from 'vitest';
import type { Pool, UseOptions } from '../../../../activities/pools/index.js';
import { BLOCK_CHARACTERS, KnownPrefixes, prefixBlocks } from '../../../../activities/pools/prefixes.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { fakePools, openCall, settle } from './fakes.js';

const text = (...blocks: string[]) => blocks.map((block) => block.padEnd(BLOCK_CHARACTERS, '.')).join('');

describe('blocks of a prompt', () => {
  it('are the same for the same text and salt, at every worker', () => {
    expect(prefixBlocks('a', text('one', 'two'))).toEqual(['0fU7YfocbAphjtGK', '9y5P84izRQxhP-Lu']);
  });

  it('are equal as far as texts are equal from the start', () => {
    const known = prefixBlocks('a', text('one', 'two', 'three'));
    expect(new Set(known).size).toBe(3);
    const other = prefixBlocks('a', text('one', 'two', 'four', 'three'));
    expect(other.map((block, i) => block === known[i])).toEqual([true, true, false, false]);
    expect(prefixBlocks('a', text('zero', 'two', 'three')).some((block) => known.includes(block))).toBe(false);
  });

  it('are those of full blocks, of a bounded part of the prompt', () => {
    expect(prefixBlocks('a', 'x'.repeat(BLOCK_CHARACTERS - 1))).toEqual([]);
    expect(prefixBlocks('a', 'x'.repeat(2 * BLOCK_CHARACTERS + 1))).toHaveLength(2);
    expect(prefixBlocks('a', 'x'.repeat(2_000 * BLOCK_CHARACTERS))).toHaveLength(1_024);
  });

  it('of different salts have nothing in common', () => {
    const known = prefixBlocks('a', text('one', 'two'));
    expect(prefixBlocks('b', text('one', 'two')).some((block) => known.includes(block))).toBe(false);
  });
});

describe('known prefixes', () => {
  it('tell how much of a prompt was sent before, from its start', () => {
    const known = new KnownPrefixes();
    known.add(['a', 'b', 'c']);
    known.add(['a', 'd']);
    expect(known.longest(['a', 'b', 'c', 'e'])).toBe(3);
    expect(known.longest(['a', 'd', 'e'])).toBe(2);
    expect(known.longest(['x', 'a'])).toBe(0);
    expect(known.longest([])).toBe(0);
    known.clear();
    expect(known.longest(['a'])).toBe(0);
  });

  it('are bounded: those unused for longest are evicted, ends of prompts before their beginnings', () => {
    const known = new KnownPrefixes(4);
    known.add(['a', 'b', 'c']);
    known.add(['d']);
    known.add(['a']);
    known.add(['e', 'f']);
    expect(known.size).toBe(4);
    expect(known.longest(['a', 'b', 'c'])).toBe(1);
    expect(known.longest(['d'])).toBe(1);
    expect(known.longest(['e', 'f'])).toBe(2);
    known.add(['1', '2', '3', '4', '5', '6']);
    expect(known.size).toBe(4);
    expect(known.longest(['1', '2', '3', '4', '5', '6'])).toBe(4);
  });
});

describe('calls by prefix', () => {
  const signal = new AbortController().signal;
  const at = (pool: Pool, prefix: string[], more: Partial<UseOptions> = {}) =>
    pool.use(async (_, { url }) => url, { signal, prefix, ...more });
  /** Opens a call, and says where. */
  async function open(pool: Pool, prefix: string[]) {
    const { work, end } = openCall();
    let url = '';
    const done = pool.use(
      (_, target) => {
        url = target.url;
        return work();
      },
      { signal, prefix },
    );
    await settle();
    return {
      url,
      async end() {
        end();
        await done;
      },
    };
  }

  it('go to the endpoint that knows most of them, whatever their affinity', async () => {
    const { pool } = fakePools(['a', 'b', 'c']);
    const [first, second] = [await open(pool, ['1', '2']), await open(pool, ['1', '2', '3'])];
    expect(first.url).toBe(second.url);
    const other = await open(pool, ['x', '2']);
    expect(other.url).not.toBe(first.url);
    await Promise.all([first.end(), second.end(), other.end()]);
    for (const affinity of ['one', 'two', 'three', 'four']) {
      expect(await at(pool, ['1', '2', '3', '4'], { affinity })).toBe(first.url);
      expect(await at(pool, ['x', 'y'], { affinity })).toBe(other.url);
    }
  });

  it('go to the least loaded one if none knows anything', async () => {
    const { pool } = fakePools(['a', 'b']);
    const first = await open(pool, ['1']);
    const second = await open(pool, ['2']);
    const third = await open(pool, []);
    expect([first.url, second.url].sort()).toEqual(['a', 'b']);
    await Promise.all([first.end(), second.end(), third.end()]);
  });

  it('go elsewhere when their endpoint has more than two calls more than another, and spread with their load', async () => {
    const { pool } = fakePools(['a', 'b']);
    const calls = [];
    for (let i = 0; i < 8; i++) calls.push(await open(pool, ['1', `${i}`]));
    const home = calls[0]?.url;
    const urls = calls.map(({ url }) => (url === home ? 'home' : 'other'));
    expect(urls.slice(0, 4)).toEqual(['home', 'home', 'home', 'other']);
    const homes = urls.filter((url) => url === 'home').length;
    expect(Math.abs(homes - (8 - homes))).toBeLessThanOrEqual(3);
    await Promise.all(calls.map(({ end }) => end()));
  });

  it('prefer a shorter prefix at an endpoint with room to a longer one at an endpoint that is full', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 1 });
    const first = await open(pool, ['1', '2']);
    const second = await at(pool, ['1', '2', '3']);
    expect(second).not.toBe(first.url);
    await first.end();
  });

  it('take nothing for known of a server that was away', async () => {
    const { pool, backend } = fakePools(['a', 'b']);
    const home = await at(pool, ['1', '2']);
    const failing = pool.use(
      async () => {
        throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
      },
      { signal, prefix: ['1', '2'] },
    );
    await expect(failing).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(backend(home).log).not.toContain('invoke');
    const other = await at(pool, ['1', '2', '3']);
    expect(other).not.toBe(home);
    expect(await at(pool, ['1', '2'])).toBe(other);
  });
});

describe('the blocks of a pool', () => {
  const blocks = (pool: Pool, tenant: string) => pool.prefixOf(tenant, () => text('one'));

  it('are made only where the pool goes by prefix', () => {
    expect(blocks(fakePools(['a'], { kind: 'chat', affinity: 'session' }).pool, 't')).toBeUndefined();
    expect(blocks(fakePools(['a']).pool, 't')).toBeUndefined();
    expect(blocks(fakePools(['a'], { kind: 'chat', affinity: 'prefix' }).pool, 't')).toHaveLength(1);
  });

  it('differ between tenants unless the pool shares cached prefixes', () => {
    const { pool: apart } = fakePools(['a'], { kind: 'chat', affinity: 'prefix' });
    expect(blocks(apart, 't')).toEqual(blocks(apart, 't'));
    expect(blocks(apart, 't')).not.toEqual(blocks(apart, 'u'));
    const { pool: shared } = fakePools(['a'], { kind: 'chat', affinity: 'prefix', options: { cacheSalt: 'off' } });
    expect(blocks(shared, 't')).toEqual(blocks(shared, 'u'));
  });

  it('are refused for pools that serve no chat', () => {
    expect(() => fakePools(['a'], { affinity: 'prefix' })).toThrow(
      'models: m.affinity: is for pools of the kind chat, not embed',
    );
  });

  it('differ between models', () => {
    const { pool } = fakePools(['a'], { kind: 'chat', affinity: 'prefix' });
    const { pool: other } = fakePools(['a'], { kind: 'chat', affinity: 'prefix', model: 'other' });
    expect(blocks(pool, 't')).not.toEqual(blocks(other, 't'));
  });
});
