import { describe, expect, it } from 'vitest';
import { buildProblem } from '../../../placement/planner/index.js';
import { llmProfile, plannerInput } from './placement-files.js';

const GIB = 2 ** 30;
const PIPELINE = JSON.stringify({ format: 1, name: 'chat', stages: [{ id: 'answer', model: 'assistant' }] });

/** The problem of an LLM of 8 GiB of weights on two A100 that leave LLM servers these shares of their memory. */
function problemOn(...shares: readonly number[]) {
  const nodes = shares.map(
    (share, i) => `  - { name: gpu${i + 1}, devices: [{ kind: a100, memory: 80GiB, memoryUtilization: ${share} }] }\n`,
  );
  const profiles = [llmProfile('assistant', 'a100', 40, 10)];
  const cluster = `format: 1\nnodes:\n${nodes.join('')}`;
  return buildProblem(plannerInput({ cluster, pipelines: [PIPELINE], profiles, rate: 1, p99Ms: 5_000 }));
}

const needed = (...shares: readonly number[]) =>
  problemOn(...shares).pools.flatMap(({ configs }) =>
    configs.map(({ maxBatch, uses: [use] }) => ({
      maxBatch,
      bytes: use?.memoryBytes,
      tokens: use?.mostTokens,
      erlangs: use?.erlangs,
    })),
  );

describe('an LLM on devices of a kind that leave it different shares of their memory', () => {
  it('may be served on those with room, whichever is listed first', () => {
    // 4 GiB are less than its weights.
    const alone = needed(0.9);
    expect(alone.map(({ maxBatch }) => maxBatch)).toEqual([1, 8]);
    expect(needed(0.05, 0.9)).toEqual(alone);
    expect(needed(0.9, 0.05)).toEqual(alone);
  });

  it('needs no larger cache than fits each of them, and is bounded by what the largest can do', () => {
    // Beside the weights 0.128 GiB, for 1,048 tokens: less than for 8 sequences of 280 tokens.
    const [, full] = needed(0.9);
    const [, small] = needed(0.1016);
    expect(full?.tokens).toBe(2_240);
    expect(small?.tokens).toBe(1_048);
    for (const both of [needed(0.1016, 0.9), needed(0.9, 0.1016)]) {
      expect(both[1]).toEqual({ ...small, erlangs: full?.erlangs });
      expect(both[1]?.bytes).toBeLessThanOrEqual(80 * GIB * 0.1016);
    }
  });
});
