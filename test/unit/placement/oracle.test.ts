import { describe, expect, it } from 'vitest';
import { readProfile } from '../../../placement/profiles/index.js';
import {
  arrivals,
  drawOf,
  loadOf,
  percentile,
  type SimulatedPool,
  Simulator,
  sortedNumbers,
  type Table,
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
  /** Devices of the replicas for the prompts of the last model, and the time of a token of its cache between two devices. */
  readonly prompts?: { readonly on: readonly number[]; readonly msPerToken: number };
  /** Tokens of prompts and of answers. */
  readonly tokens?: readonly [(draw: number) => number, (draw: number) => number];
  /** Of the LLMs: how calls come to replicas with a part of their prompts, and columns with shares of prompts. */
  readonly prefixes?: {
    readonly routing: 'aware' | 'unaware';
    readonly columns: Readonly<Record<string, (draw: number) => number>>;
  };
  /** By model: how long its batches wait to fill. */
  readonly delaysMs?: readonly number[];
  /** Calls of the last stage in a run: on average, or by a draw. */
  readonly calls?: number | ((draw: number) => number);
}

/** A link on which a byte takes a millionth of a millisecond. */
const LINK = { latencyMs: 0.1, bytesPerMs: 1e6 };
const PROMPTS_AT_ONCE = 8;

/** Percentiles by the simulator and by the oracle. */
function both(cell: Case) {
  const { models, on, rate, memory, chunkTokens, sharing = 'time-sliced', cv = 1, prompts, calls, prefixes } = cell;
  const [sizeIn, sizeOut] = cell.tokens ?? [(u) => 100 + 3_000 * u ** 4, (u) => 10 + 300 * u ** 2];
  const apart = models.length - 1;
  const tokenBytes = (prompts?.msPerToken ?? 0) * LINK.bytesPerMs;
  const timesMs = arrivals({ count: 3_000, rate, seed: 7, cv });
  const draw = (i: number, purpose: number) => drawOf(3, i, purpose);
  const sizes = {
    tokens_in: timesMs.map((_, i) => Math.round(sizeIn(draw(i, 1)))),
    tokens_out: timesMs.map((_, i) => Math.round(sizeOut(draw(i, 2)))),
    ...Object.fromEntries(
      Object.entries(cell.prefixes?.columns ?? {}).map(([column, shareOf]) => [
        column,
        timesMs.map((_, i) => Math.round(shareOf(draw(i, 3)) * Math.round(sizeIn(draw(i, 1))))),
      ]),
    ),
    ...(typeof calls === 'function' && { entries: timesMs.map((_, i) => calls(draw(i, 4))) }),
  };
  const profiles = models.map((each) => ({ ...each, ...(chunkTokens !== undefined && { chunkTokens }) }));
  const count = Math.max(...on.flat(), ...(prompts?.on ?? [])) + 1;
  const replicasOn = (own: readonly number[]) =>
    own.map((device) => ({ devices: [`n/${device}`], cacheTokens: memory }));
  const devices = Array.from({ length: count }, (_, d) => ({ id: `n/${d}`, kind: 'gpu', sharing }));
  const judged = judgedBy({
    stages: models.map(({ model }, i) => ({
      id: `s${i}`,
      model,
      after: i === 0 ? [] : [`s${i - 1}`],
      ...(i === apart && calls !== undefined && { calls: typeof calls === 'number' ? calls : 'entries' }),
    })),
    pools: models.map(({ model, batching }, p) => ({
      model,
      variant: 'default',
      maxBatch: batching === 'dynamic' ? 8 : 64,
      maxQueueDelayMs: cell.delaysMs?.[p] ?? 0,
      replicas: replicasOn(on[p] ?? []),
      ...(prefixes && batching === 'continuous' && { routing: prefixes.routing }),
      ...(prompts &&
        p === apart && { prompts: { replicas: replicasOn(prompts.on), maxBatch: PROMPTS_AT_ONCE, tokenBytes } }),
    })),
    link: LINK,
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
    return tableOf(readProfile(JSON.stringify(file), 'p.json').value, prefixes?.routing);
  });
  const most = typeof calls === 'number' ? Math.ceil(calls) : 12;
  const fanOut =
    typeof calls === 'number' ? { mean: calls, some: 1 } : { mean: 1, some: 1, column: calls ? 'entries' : undefined };
  const simulator = new Simulator(
    models.map((_, i) =>
      stage(i, i === 0 ? [] : [i - 1], i === apart && calls !== undefined ? { calls: most, fanOut } : {}),
    ),
    {
      concurrency: devices.map(() => 1),
      serial: devices.map(() => sharing === 'serial'),
      // Only caches move: outputs have no bytes here.
      transferMs: (_, __, bytes) => (bytes > 0 ? LINK.latencyMs + bytes / LINK.bytesPerMs : 0),
    },
    loadOf(timesMs, sizes),
  );
  const poolOn = (table: Table, p: number, own: readonly number[]): SimulatedPool => ({
    batching: table.batching,
    maxBatch: table.batching === 'dynamic' ? 8 : 64,
    preferred: [],
    maxQueueDelayMs: cell.delaysMs?.[p] ?? 0,
    replicas: own.map((device) => ({
      device,
      tables: tables.map((_, i) => (i === p ? table : undefined)),
      mostTokens: memory ?? Number.POSITIVE_INFINITY,
    })),
  });
  const pools = tables.map((table, p) => poolOn(table, p, on[p] ?? []));
  const last = tables[apart];
  if (prompts && last) {
    const handsTo = { pool: apart, tokenBytes };
    pools.push({ ...poolOn(last, apart, prompts.on), maxBatch: PROMPTS_AT_ONCE, handsTo });
  }
  const { latencyMs } = simulator.run({ pools });
  return { simulated: quantiles(latencyMs), judged: quantiles(judged) };
}

/** Tokens of prompts and of answers, by a draw from 0 to 1. */
const SHORT_LONG: Case['tokens'] = [(u) => 50 + 200 * u, (u) => 200 + 400 * u ** 2];
const LONG_SHORT: Case['tokens'] = [(u) => 1_500 + 5_000 * u ** 3, (u) => 10 + 60 * u];

describe('the simulator against a second one, written from the formulas', () => {
  it.each<[string, Case, number]>([
    [
      'batches of two stages, each on its own devices',
      { models: [SMALL, { ...SMALL, model: 'b' }], on: [[0, 1], [2]], rate: 90 },
      0.02,
    ],
    [
      'batches that wait to fill, and then stay together',
      {
        models: [SMALL, { ...SMALL, model: 'b' }],
        on: [[0], [0]],
        rate: 40,
        delaysMs: [60, 2],
      },
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
    [
      'an LLM served apart: short prompts, long answers',
      { models: [LLM], on: [[1, 2]], rate: 4, prompts: { on: [0], msPerToken: 0.02 }, tokens: SHORT_LONG },
      0.05,
    ],
    [
      'an LLM served apart: long prompts, short answers',
      { models: [LLM], on: [[3]], rate: 4, prompts: { on: [0, 1, 2], msPerToken: 0.02 }, tokens: LONG_SHORT },
      0.05,
    ],
    [
      'an LLM served apart whose caches move slowly, one at a time',
      { models: [LLM], on: [[3, 4]], rate: 3, prompts: { on: [0, 1, 2], msPerToken: 0.12 }, tokens: LONG_SHORT },
      0.05,
    ],
    [
      'an LLM served apart with little memory, behind another stage',
      {
        models: [SMALL, LLM],
        on: [[0], [3, 4]],
        rate: 4,
        memory: 9_000,
        prompts: { on: [1, 2], msPerToken: 0.02 },
        tokens: LONG_SHORT,
      },
      0.08,
    ],
    [
      'an LLM whose prompts are half in prefix caches that the router knows',
      { models: [LLM], on: [[0, 1]], rate: 9, prefixes: { routing: 'aware', columns: { tokens_cached: (u) => u } } },
      0.05,
    ],
    [
      'an LLM whose router knows no prefixes, over three replicas',
      {
        models: [LLM],
        on: [[0, 1, 2]],
        rate: 3.5,
        tokens: LONG_SHORT,
        prefixes: { routing: 'unaware', columns: { tokens_cached: () => 0.9 } },
      },
      // Each draws for itself which prompts are cached.
      0.1,
    ],
    [
      'an LLM whose prefixes were measured over two and four caches, over three replicas',
      {
        models: [LLM],
        on: [[0, 1, 2]],
        rate: 6,
        tokens: LONG_SHORT,
        prefixes: {
          routing: 'unaware',
          columns: {
            tokens_cached_unaware_2: (u) => (u > 0.4 ? 0.9 : 0),
            tokens_cached_unaware_4: (u) => (u > 0.7 ? 0.9 : 0),
          },
        },
      },
      0.05,
    ],
    [
      'an LLM with prefix caches and little memory',
      {
        models: [LLM],
        on: [[0, 1]],
        rate: 6,
        memory: 6_000,
        prefixes: { routing: 'aware', columns: { tokens_cached_aware_2: (u) => u } },
      },
      0.08,
    ],
    [
      'an LLM served apart with prefix caches at the replicas for prompts',
      {
        models: [LLM],
        on: [[3]],
        rate: 5,
        prompts: { on: [0, 1, 2], msPerToken: 0.02 },
        tokens: LONG_SHORT,
        prefixes: { routing: 'aware', columns: { tokens_cached: (u) => u } },
      },
      0.05,
    ],
    [
      'a stage with 2.4 calls in a run',
      {
        models: [SMALL, { ...SMALL, model: 'b' }],
        on: [
          [0, 1],
          [2, 3],
        ],
        rate: 40,
        calls: 2.4,
      },
      // Each draws for itself which runs have three.
      0.05,
    ],
    [
      'a stage with as many calls as the load says, none in some runs',
      {
        models: [SMALL, { ...SMALL, model: 'b' }],
        on: [
          [0, 1],
          [2, 3],
        ],
        rate: 50,
        calls: (u) => Math.floor(12 * u ** 3),
      },
      0.02,
    ],
    ['an LLM with 2.4 calls in a run', { models: [LLM], on: [[0, 1]], rate: 2, calls: 2.4 }, 0.05],
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
