import { describe, expect, it } from 'vitest';
import { sampledSizes } from '../../../placement/explain/sampled-sizes.js';
import { buildProblem } from '../../../placement/planner/index.js';
import { type Load, loadOf, mergedLoad } from '../../../placement/simulator/index.js';
import { llmProfile, plannerInput } from './placement-files.js';

/** What a placement keeps of a load of pipelines that call one LLM. */
function sizesOf(load: Load, ...names: readonly string[]) {
  const pipelines = names.map((name) => JSON.stringify({ format: 1, name, stages: [{ id: 'answer', model: 'llm' }] }));
  const input = plannerInput({ pipelines, profiles: [llmProfile('llm', 'a100', 20, 10)], p99Ms: 60_000 });
  return sampledSizes(buildProblem({ ...input, load }), input.pipelines).sizes;
}
const everySecond = (count: number, firstMs = 0) => Float64Array.from({ length: count }, (_, i) => firstMs + 1_000 * i);
const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('the sizes that a placement keeps', () => {
  it('are those of 256 runs, with the mean, the tail and the pairs of the load', () => {
    const timesMs = everySecond(4_000);
    // Long prompts with short answers; and short ones with answers of 200 to 12,649 tokens, few of them long.
    const tokensIn = timesMs.map((_, run) => (run % 2 === 0 ? 8_000 : 100));
    const tokensOut = timesMs.map((_, run) => {
      const share = ((((run - 1) / 2) * 977) % 2_000) + 0.5;
      return run % 2 === 0 ? 20 : Math.round(200 / Math.sqrt(share / 2_000));
    });
    const { tokens_in = [], tokens_out = [] } =
      sizesOf(loadOf(timesMs, { tokens_in: tokensIn, tokens_out: tokensOut }), 'chat')?.chat ?? {};
    expect([tokens_in.length, tokens_out.length]).toEqual([256, 256]);
    for (const [i, tokens] of tokens_in.entries()) expect((tokens_out[i] ?? 0) === 20).toBe(tokens === 8_000);
    expect(meanOf(tokens_in)).toBeCloseTo(4_050, 6);
    expect(meanOf(tokens_out) / meanOf([...tokensOut])).toBeGreaterThan(0.95);
    expect(meanOf(tokens_out) / meanOf([...tokensOut])).toBeLessThan(1.05);
    const slowest = tokensOut.toSorted()[3_960] ?? 0;
    expect(Math.max(...tokens_out)).toBeGreaterThan(slowest);
  });

  it('have long runs in their share, so that a 99th percentile that they may miss still holds', () => {
    const timesMs = everySecond(4_000);
    // Of 4,000 runs 36 are long, and 40 may be late.
    const tokensOut = timesMs.map((_, run) => (run % 111 === 7 ? 4_000 : 100));
    const load = loadOf(timesMs, { tokens_in: timesMs.map(() => 200), tokens_out: tokensOut });
    const { tokens_out = [] } = sizesOf(load, 'chat')?.chat ?? {};
    expect(tokens_out).toHaveLength(256);
    expect(tokens_out.filter((tokens) => tokens > 100)).toHaveLength(2);
  });

  it('are those of all runs if they are few, of one if all are alike, and only those that the profiles read', () => {
    const few = Float64Array.from([5, 3, 9, 4]);
    const first = loadOf(everySecond(4), { tokens_in: few, tokens_out: few, user: few });
    const second = loadOf(everySecond(100, 300), { tokens_in: new Float64Array(100).fill(30) });
    // The second has no tokens_out: typical answers are planned.
    expect(sizesOf(mergedLoad([first, second]), 'first', 'second')).toEqual({
      first: { tokens_in: [5, 3, 9, 4], tokens_out: [5, 3, 9, 4] },
      second: { tokens_in: [30] },
    });
    expect(sizesOf(loadOf(everySecond(100)), 'chat')).toBeUndefined();
  });
});
