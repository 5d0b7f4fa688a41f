import { describe, expect, it } from 'vitest';
import { explanation, makeLoad, makePlacement, placementText } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { buildProblem, Judge, type Objective, type PlannerInput } from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { percentile, sortedNumbers } from '../../../placement/simulator/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });

interface Of {
  /** How long a run of the second pipeline takes, at least. */
  readonly digestMs: number;
  readonly rates?: readonly [number, number];
  readonly objective?: Objective;
}

/** Many runs of a quick model, and a few of a slow one. */
const inputOf = ({ digestMs, rates = [20, 0.4], objective = { p99Ms: 3_000 } }: Of): PlannerInput => ({
  pipelines: ['chat', 'digest'].map((name) =>
    readPipelineShape(JSON.stringify({ format: 1, name, stages: [{ id: 's', model: name }] }), 'p.json'),
  ),
  inventory: readInventory(
    'format: 1\nnodes:\n  - { name: n, devices: [{ kind: gpu, count: 8, memory: 80GiB, pricePerHour: 2, sharing: serial }] }\n',
  ),
  profiles: readProfiles(
    [
      ['chat', 25],
      ['digest', digestMs],
    ].map(([model, ms]) => ({
      file: `${model}.json`,
      text: JSON.stringify({
        format: 1,
        ...{ model, deviceKind: 'gpu', batching: 'dynamic', memory: { weights: '2GiB' } },
        latency: [{ batch: 1, ...row(Number(ms)) }],
      }),
    })),
  ),
  load: makeLoad(
    rates.map((rate) => ({ rate, cv: 1 })),
    3_000,
    1,
  ),
  objective,
});

function plan(input: PlannerInput) {
  let looks = 0;
  return makePlacement(input, { objective: 'cost', timeLimitMs: 300, clock: () => looks++ });
}

const TABLE = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((cells) => cells.join(' ')).join('\n');

describe('an objective for whole runs of several pipelines', SLOW, () => {
  it('is refused if one of them is late in every run, even where its runs are few', () => {
    expect(refusal(() => plan(inputOf({ digestMs: 30_000, rates: [100, 0.5] })))).toEqual({
      code: 'SLO_UNREACHABLE',
      fields: [
        '--slo-p99: 3000 ms is less than the 30000 ms that the stages of digest take one after the other on idle devices: allow more than 30000 ms, or profile faster variants or devices',
        'digest.json:1 latency: digest/s takes 30000 ms at best',
      ],
    });
  });

  it.each([
    ['a percentile', { p99Ms: 3_000 }],
    ['a goodput', { p95Ms: 3_000, goodput: 0.97 }],
    ['a share of each minute', { p95Ms: 3_000, worstMinute: 0.9 }],
  ] as const)('holds for each of them: %s', (_, objective) => {
    // One device carries both, but a digest waits behind another one in more than 1 % of its runs, which are 2 % of all.
    const input = inputOf({ digestMs: 1_100, objective });
    const placement = plan(input);
    const problem = buildProblem(input);
    const [, digest] = placement.pools;
    const replicas = placement.pools.flatMap((pool, p) =>
      pool.replicas.map(({ devices }) => ({ pool: p, devices: devices.map((id) => Number(id.split('/')[1])) })),
    );
    const { latencyMs } = new Judge(problem).see({ configs: [0, 0], replicas }).result;
    const own = sortedNumbers(latencyMs.filter((_ms, run) => problem.load.pipelines[run] === 1));
    const share = 'goodput' in objective ? 0.97 : 'worstMinute' in objective ? 0.95 : 0.99;
    expect(percentile(own, share)).toBeLessThanOrEqual(3_000);
    expect(digest?.replicas.length).toBeGreaterThan(0);
    expect(placement.predicted.pipelines?.digest?.p99Ms).toBeCloseTo(percentile(own, 0.99), 2);
  });

  it('is reported for each of them', () => {
    const placement = plan(inputOf({ digestMs: 1_100 }));
    expect(Object.keys(placement.predicted.pipelines ?? {})).toEqual(['chat', 'digest']);
    expect(placement.predicted.errorBudgets?.map(({ of }) => of)).toEqual(['p99', 'chat p99', 'digest p99']);
    expect(placement.warnings).toEqual([
      expect.stringMatching(/^runs of digest: the load has about \d+ such runs, and a 99th percentile of so few/),
    ]);
    const { inventory } = inputOf({ digestMs: 1_100 });
    expect(placementText(placement, inventory, TABLE)).toMatch(/\n {12}digest p50 \d+ ms, p95 \d+ ms, p99 \d+ ms\n/);
    expect(explanation(placement, inventory, TABLE)).toMatch(/digest p99 objective/);
  });

  it('is that of all of one pipeline', () => {
    const input = inputOf({ digestMs: 1_100 });
    const { pipelines } = input;
    const one = plan({ ...input, pipelines: pipelines.slice(0, 1), load: makeLoad([{ rate: 20, cv: 1 }], 3_000, 1) });
    expect(one.predicted.pipelines).toBeUndefined();
    expect(one.predicted.errorBudgets?.map(({ of }) => of)).toEqual(['p99']);
  });
});
