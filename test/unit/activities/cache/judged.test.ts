import { describe, expect, it } from 'vitest';
import { differenceOf } from '../../../../activities/cache/lexical-guard.js';
import { isTimely } from '../../../../activities/cache/timely.js';
import { readPairs } from '../../../../bench/cache/pairs.js';

/** Written without knowledge of the guard and of the other sets. They are for judging: no rule may be made for one of their pairs. */
describe.each([
  { file: 'judged', near: 381, paraphrases: 120, hits: 20 },
  { file: 'judged-2', near: 399, paraphrases: 151, hits: 45 },
  { file: 'judged-3', near: 420, paraphrases: 160, hits: 36 },
])('of the pairs in $file', ({ file, near, paraphrases, hits }) => {
  const pairs = readPairs(`bench/cache/sets/${file}.jsonl`);
  /** What the guard would serve if every two texts had one embedding. */
  const served = pairs.filter(({ a, b }) => differenceOf(a, b) === undefined && !isTimely(a) && !isTimely(b));

  it('the guard serves none of the near misses, which it was not made for', () => {
    expect(pairs.filter(({ same }) => !same)).toHaveLength(near);
    expect(served.filter(({ same }) => !same)).toEqual([]);
  });

  it('and some of the everyday paraphrases', () => {
    expect(pairs.filter(({ same }) => same)).toHaveLength(paraphrases);
    expect(served.length).toBeGreaterThanOrEqual(hits);
  });
});
