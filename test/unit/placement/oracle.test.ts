import { describe, expect, it } from 'vitest';
import { readProfile } from '../../../placement/profiles/index.js';
import {
  arrivals,
  drawOf,
  loadOf,
  percentile,
  Simulator,
  sortedNumbers,
  tableOf,
} from '../../../placement/simulator/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';
import { stage } from './simulated.js';

const even = (ms: number) => ({ p50Ms: ms, p95Ms: ms, p99Ms: ms });

/** An LLM whose steps take 8 ms and a microsecond for each token in the cache, and prompts 0.1 ms a token. */
const LLM: OracleProfile = {
  model: 'llm',
  deviceKind: 'gpu',
  batching: 'continuous',
  size: { in: 'tokens_in', out: 'tokens_out' },
  prefill: [100, 1_000, 8_000].map((tokens) => ({ tokens, ...even(tokens / 10) })),
  decode: [1, 16, 64].flatMap((batch) =>
    [200, 4_000].map((tokens) => ({ batch, tokens, ...even(8 + batch * 0.05 + (batch * tokens) / 1_000) })),
  ),
};
const SMALL: OracleProfile = {
  model: 'small',
  deviceKind: 'gpu',
  batching: 'dynamic',
  latency: [1, 4, 8].map((batch) => ({ batch, ...even(10 + 5 * batch) })),
};

const quantiles = (latency: Float64Array) => {
  const sorted = sortedNumbers(latency);
  return [0.5, 0.95, 0.99].map((share) => percentile(sorted, share));
};

interface Case {
  readonly models: readonly OracleProfile[];
  /** Devices of each pool's replicas. */
  readonly on: readonly (readonly number[])[];
  readonly rate: number;
  readonly memory?: number;
  readonly chunkTokens?: number;
  readonly sharing?: 'time-sliced' | 'serial';
  readonly cv?: number;
}

/** Percentiles by the simulator and by the oracle. */
function both({ models, on, rate, memory, chunkTokens, sharing = 'time-sliced', cv = 1 }: Case) {
  const timesMs = arrivals({ count: 3_000, rate, seed: 7, cv });
  const draw = (i: number, purpose: number) => drawOf(3, i, purpose);
  const sizes = {
    tokens_in: timesMs.map((_, i) => Math.round(100 + 3_000 * draw(i, 1) ** 4)),
    tokens_out: timesMs.map((_, i) => Math.round(10 + 300 * draw(i, 2) ** 2)),
  };
  const profiles = models.map((each) => ({ ...each, ...(chunkTokens !== undefined && { chunkTokens }) }));
  const count = Math.max(...on.flat()) + 1;
  const devices = Array.from({ length: count }, (_, d) => ({ id: `n/${d}`, kind: 'gpu', sharing }));
  const judged = judgedBy({
    stages: models.map(({ model }, i) => ({ id: `s${i}`, model, after: i === 0 ? [] : [`s${i - 1}`] })),
    pools: models.map(({ model, batching }, p) => ({
      model,
      variant: 'default',
      maxBatch: batching === 'dynamic' ? 8 : 64,
      replicas: (on[p] ?? []).map((device) => ({ devices: [`n/${device}`], cacheTokens: memory })),
    })),
    profiles,
    devices,
    timesMs,
    sizes,
    seed: 1,
  });
  const tables = profiles.map((profile) => {
    const { chunkTokens: chunk, ...rest } = profile;
    const file = {
      format: 1,
      ...rest,
      ...(profile.batching === 'continuous' && chunk !== undefined && { chunkTokens: chunk }),
    };
    return tableOf(readProfile(JSON.stringify(file), 'p.json').value);
  });
  const simulator = new Simulator(
    models.map((_, i) => stage(i, i === 0 ? [] : [i - 1])),
    { concurrency: devices.map(() => 1), serial: devices.map(() => sharing === 'serial'), transferMs: () => 0 },
    loadOf(timesMs, sizes),
  );
  const { latencyMs } = simulator.run({
    pools: tables.map((table, p) => ({
      batching: table.batching,
      maxBatch: table.batching === 'dynamic' ? 8 : 64,
      preferred: [],
      maxQueueDelayMs: 0,
      replicas: (on[p] ?? []).map((device) => ({
        device,
        tables: tables.map((_, i) => (i === p ? table : undefined)),
        mostTokens: memory ?? Number.POSITIVE_INFINITY,
      })),
    })),
  });
  return { simulated: quantiles(latencyMs), judged: quantiles(judged) };
}

describe('the simulator against a second one, written from the formulas', () => {
  it.each<[string, Case, number]>([
    [
      'batches of two stages, each on its own devices',
      { models: [SMALL, { ...SMALL, model: 'b' }], on: [[0, 1], [2]], rate: 90 },
      0.02,
    ],
    ['bursts', { models: [SMALL], on: [[0, 1, 2]], rate: 150, cv: 4 }, 0.02],
    [
      'stages that share devices evenly',
      {
        models: [SMALL, { ...SMALL, model: 'b' }],
        on: [
          [0, 1],
          [0, 1],
        ],
        rate: 60,
      },
      0.02,
    ],
    [
      'stages that take turns',
      {
        models: [SMALL, { ...SMALL, model: 'b' }],
        on: [
          [0, 1],
          [0, 1],
        ],
        rate: 60,
        sharing: 'serial',
      },
      0.02,
    ],
    ['an LLM by the context', { models: [LLM], on: [[0, 1]], rate: 6 }, 0.05],
    [
      'an LLM whose prompts are processed in small parts',
      { models: [LLM], on: [[0, 1]], rate: 6, chunkTokens: 256 },
      0.05,
    ],
    ['an LLM that processes whole prompts', { models: [LLM], on: [[0, 1]], rate: 6, chunkTokens: 0 }, 0.06],
    ['an LLM whose cache is full', { models: [LLM], on: [[0, 1]], rate: 5, memory: 6_000 }, 0.08],
    ['an LLM behind another stage', { models: [SMALL, LLM], on: [[0], [1, 2]], rate: 7 }, 0.05],
  ])('agrees on %s', (_, cell, off) => {
    const { simulated, judged } = both(cell);
    for (const [i, ms] of judged.entries()) {
      expect(
        Math.abs((simulated[i] ?? 0) / ms - 1),
        `${simulated.map(Math.round)} against ${judged.map(Math.round)}`,
      ).toBeLessThan(off);
    }
  });
});
