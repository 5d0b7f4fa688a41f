import { describe, expect, it } from 'vitest';
import { cacheOf } from '../../../placement/explain/placed-pool.js';
import { buildProblem, mostTokensOf, replicasByDevice } from '../../../placement/planner/index.js';
import { llmProfile, plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

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

describe('an LLM whose profile does not state the memory of a token', () => {
  const known = llmProfile('assistant', 'a100', 40, 10);
  const helper = llmProfile('helper', 'a100', 40, 10);
  const unknown = { ...helper, text: JSON.stringify({ ...JSON.parse(helper.text), memory: { weights: '8GiB' } }) };
  const stages = ['assistant', 'helper'].map((model) => ({ id: model, model }));
  const pipelines = [JSON.stringify({ format: 1, name: 'chat', stages })];
  const cluster = 'format: 1\nnodes:\n  - { name: gpu1, devices: [{ kind: a100, count: 2, memory: 80GiB }] }\n';
  const problem = buildProblem(plannerInput({ cluster, pipelines, profiles: [known, unknown], rate: 1, p99Ms: 5_000 }));
  const [first, second] = [
    { pool: 0, devices: [0] },
    { pool: 1, devices: [0] },
  ];
  const room = Math.floor(80 * GIB * 0.9);

  it('has what its device leaves, and the plan says so', () => {
    const apart = { configs: [0, 0], replicas: [{ ...first, devices: [1] }, second] };
    expect(cacheOf(problem, apart, second)).toEqual({ memoryBytes: room });
    expect(problem.assumptions).toEqual([
      expect.stringMatching(/^assistant: .* memory\.reserved.* a sixteenth of a device is assumed/),
      'helper: one of its profiles states no memory of a token (perToken); what its devices leave is assumed to hold the key-value cache of all calls',
    ]);
  });

  it('shares that evenly with another LLM', () => {
    const together = { configs: [0, 0], replicas: [first, second] };
    const [one, other] = [cacheOf(problem, together, first), cacheOf(problem, together, second)];
    const bytes = (one.memoryBytes ?? 0) + (other.memoryBytes ?? 0);
    expect(bytes).toBeLessThanOrEqual(room);
    // A token of the one whose tokens are known, and the byte of the other.
    expect(bytes).toBeGreaterThan(room - 2 ** 18);
    expect(other).toEqual({ memoryBytes: expect.any(Number) });
    // The first one takes 4 GiB more, beside its weights and cache.
    expect(other.memoryBytes).toBeGreaterThan(33 * GIB);
    expect(one.memoryBytes).toBeGreaterThan(35 * GIB);
    // Alone on the device it has all of the room, but for less than a token.
    const alone = cacheOf(problem, { configs: [0, 0], replicas: [first] }, first);
    expect(alone.memoryBytes).toBeGreaterThan(room - 2 ** 18);
  });
});

describe('an LLM beside what its server reserves', () => {
  const { text, file } = llmProfile('assistant', 'l4', 40, 10);
  const cluster = 'format: 1\nnodes:\n  - { name: gpu1, devices: [{ kind: l4, memory: 24GiB }] }\n';
  const replica = { pool: 0, devices: [0] };
  const problemWith = (memory: object) => {
    const profiles = [{ file, text: JSON.stringify({ ...JSON.parse(text), memory }) }];
    return buildProblem(plannerInput({ cluster, pipelines: [PIPELINE], profiles, rate: 1, p99Ms: 5_000 }));
  };
  const tokensWith = (memory: object) => {
    const problem = problemWith(memory);
    const candidate = { configs: [0], replicas: [replica] };
    return mostTokensOf(problem, candidate, replica, replicasByDevice(candidate));
  };

  it('is planned with the cache that is left: of 21.6 GiB, without the weights and 1.5 GiB', () => {
    expect(tokensWith({ weights: '16GiB', perToken: '128KiB' })).toBe(33_587);
    expect(tokensWith({ weights: '18GiB', perToken: '128KiB' })).toBe(17_203);
    expect(tokensWith({ weights: '16GiB', perToken: '128KiB', reserved: '2GiB' })).toBe(29_491);
    // A small model reserves no more than its weights.
    expect(tokensWith({ weights: '1GiB', perToken: '128KiB' })).toBe(Math.floor(19.6 * 8_192));
  });

  it('fits nowhere with an error that says what is reserved, and where to state it', () => {
    const large = { weights: '21GiB', perToken: '128KiB' };
    const fields = (memory: object) => refusal(() => problemWith(memory)).fields;
    expect(fields(large)).toEqual([
      expect.stringMatching(/needs 23 GiB .*; 1\.5 GiB of what it needs .*\(assumed: state memory\.reserved as vLLM/),
    ]);
    expect(fields({ ...large, reserved: '1GiB' })).toEqual([
      expect.stringMatching(/; 1 GiB of what it needs .*\(its memory\.reserved\)/),
    ]);
    expect(tokensWith({ ...large, reserved: '512MiB' })).toBe(819);
  });

  it('says what is reserved, and keeps within the share of its device', () => {
    const problem = problemWith({ weights: '16GiB', perToken: '128KiB' });
    const { memoryBytes = 0, ...cache } = cacheOf(problem, { configs: [0], replicas: [replica] }, replica);
    expect(cache).toEqual({ cacheTokens: 33_587, tokenBytes: 2 ** 17, reservedBytes: 1.5 * GIB });
    expect(memoryBytes).toBeLessThanOrEqual(24 * GIB * 0.9);
    expect(memoryBytes).toBeGreaterThan(24 * GIB * 0.9 - 2 ** 18);
  });
});

describe('an LLM on devices of a kind that leave it different shares of their memory', () => {
  it('may be served on those with room, whichever is listed first', () => {
    // 4 GiB are less than its weights.
    const alone = needed(0.9);
    expect(alone.map(({ maxBatch }) => maxBatch)).toEqual([1, 8]);
    expect(needed(0.05, 0.9)).toEqual(alone);
    expect(needed(0.9, 0.05)).toEqual(alone);
  });

  it('needs no larger cache than fits each of them, and is bounded by what the largest can do', () => {
    // Beside the weights and 4 GiB that are reserved 0.128 GiB, for 1,048 tokens: less than for 8 sequences of 280 tokens.
    const [, full] = needed(0.9);
    const [, small] = needed(0.1516);
    expect(full?.tokens).toBe(2_240);
    expect(small?.tokens).toBe(1_048);
    for (const both of [needed(0.1516, 0.9), needed(0.9, 0.1516)]) {
      expect(both[1]).toEqual({ ...small, erlangs: full?.erlangs });
      expect(both[1]?.bytes).toBeLessThanOrEqual(80 * GIB * 0.1516);
    }
  });
});
