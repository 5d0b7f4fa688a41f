import { describe, expect, it } from 'vitest';
import { importTrace } from '../../../placement/import/index.js';
import { cachedTokens } from '../../../placement/import/prefix-caches.js';
import { readTrace } from '../../../placement/trace/index.js';
import { refusal } from './refusal.js';

const BLOCK = 10;
const prompts = (...blocks: readonly (readonly number[])[]) =>
  blocks.map((own) => ({ tokens: own.length * BLOCK - 3, blocks: own }));
const routed = (caches: number, isAware: boolean, blocks = Number.POSITIVE_INFINITY) => ({
  caches,
  blocks,
  isAware,
  blockTokens: BLOCK,
  seed: 1,
});

describe('a prefix cache', () => {
  it('has the first blocks that an earlier prompt began with, at most the prompt’s own tokens', () => {
    const sent = prompts([1, 2, 3], [1, 2, 4], [1, 2, 4], [9, 2, 3]);
    // The third is the whole of the second: 27 tokens, not three blocks of ten.
    expect([...cachedTokens(sent, routed(1, true))]).toEqual([0, 20, 27, 0]);
  });

  it('evicts what was not used for the longest time, the end of a prompt before its start', () => {
    // Four blocks: [5, 6] takes the place of 3, and [5, 6, 7] also that of 2.
    expect([...cachedTokens(prompts([1, 2, 3], [5, 6], [1, 2, 3]), routed(1, true, 4))]).toEqual([0, 0, 20]);
    expect([...cachedTokens(prompts([1, 2, 3], [5, 6, 7], [1, 2, 3]), routed(1, true, 4))]).toEqual([0, 0, 10]);
    // A prompt with more blocks than the cache leaves its first ones there.
    expect([...cachedTokens(prompts([1, 2, 3, 4], [1, 2, 3, 4]), routed(1, true, 2))]).toEqual([0, 20]);
  });

  it('is found again by a router that knows prefixes, and by chance by one that does not', () => {
    // Sessions in turn, each prompt with the one before as its beginning.
    const turns = Array.from({ length: 40 }, (_, turn) =>
      Array.from({ length: 16 }, (__, session) => Array.from({ length: turn + 1 }, (___, i) => 100 * session + i + 1)),
    ).flat();
    const sum = (values: Float64Array) => values.reduce((all, value) => all + value, 0);
    const all = sum(Float64Array.from(prompts(...turns), ({ tokens }) => tokens));
    const shareOf = (caches: number, isAware: boolean) =>
      sum(cachedTokens(prompts(...turns), routed(caches, isAware))) / all;
    const one = shareOf(1, true);
    expect(one).toBeGreaterThan(0.9);
    expect(shareOf(1, false)).toBe(one);
    expect(shareOf(8, true)).toBeGreaterThan(0.95 * one);
    expect(shareOf(2, false)).toBeLessThan(one);
    expect(shareOf(8, false)).toBeLessThan(shareOf(2, false));
  });

  it('is not sent everything because all prompts begin alike', () => {
    const sent = prompts(...Array.from({ length: 400 }, (_, i) => [1, 1_000 + i]));
    const blocks = sent.map((each) => ({ ...each, tokens: 20 }));
    // Each of four caches meets the common block for the first time once.
    const known = cachedTokens(blocks, routed(4, true));
    expect(known.filter((tokens) => tokens === 0).length).toBe(4);
  });
});

describe('an import of Mooncake', () => {
  const line = (ms: number, tokens: number, ids: readonly number[]) =>
    JSON.stringify({ timestamp: ms, input_length: tokens, output_length: 5, hash_ids: ids });
  const text = [line(0, 1_024, [0, 1]), line(500, 1_100, [0, 1, 2]), line(900, 600, [0, 3])].join('\n');

  it('has the tokens of prompts in prefix caches, for 1, 2, 4 … caches with either router', () => {
    const trace = importTrace('mooncake', text, 'm.jsonl', { caches: 3 });
    const { sizes } = readTrace(trace);
    expect(Object.keys(sizes)).toEqual([
      'tokens_in',
      'tokens_out',
      ...[1, 2, 3].flatMap((n) => [`tokens_cached_aware_${n}`, `tokens_cached_unaware_${n}`]),
    ]);
    expect([...(sizes.tokens_cached_aware_1 ?? [])]).toEqual([0, 1_024, 512]);
    expect(sizes.tokens_cached_unaware_1).toEqual(sizes.tokens_cached_aware_1);
    const evicted = readTrace(importTrace('mooncake', text, 'm.jsonl', { caches: 1, blocks: 1 }));
    expect([...(evicted.sizes.tokens_cached_aware_1 ?? [])]).toEqual([0, 512, 512]);
  });

  it('is computed of the requests that are kept, and refused without blocks', () => {
    const two = readTrace(importTrace('mooncake', text, 'm.jsonl', { caches: 1, limit: 2 }));
    expect(two.sizes.tokens_cached_aware_1).toHaveLength(2);
    const without = JSON.stringify({ timestamp: 0, input_length: 3, output_length: 1 });
    expect(refusal(() => importTrace('mooncake', without, 'm.jsonl', { caches: 2 })).fields[0]).toMatch(
      /^m\.jsonl, entry 1: it has no hash_ids/,
    );
    expect(refusal(() => importTrace('csv', 'time,tokens_in\n0,3\n', 'c.csv', { caches: 2 })).fields[0]).toMatch(
      /^c\.csv, line 2/,
    );
  });
});
