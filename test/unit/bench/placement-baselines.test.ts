import { describe, expect, it } from 'vitest';
import { commonBatchLimit, proportionalSpreadsheet } from '../../../bench/placement/baselines.js';
import { compared } from '../../../bench/planner/against.js';
import { excessOf } from '../../../bench/planner/monotone.js';
import { naivePlacements } from '../../../placement/explain/index.js';
import { attainable, buildProblem, Judge } from '../../../placement/planner/index.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { CLUSTER, plannerInput, profileFile } from '../placement/placement-files.js';

const input = (more: Parameters<typeof plannerInput>[0] = {}) => ({
  ...plannerInput(more),
  load: loadOf(arrivals({ count: 400, rate: 5, seed: 1 })),
});

describe('placements that people make with profiles', () => {
  it('divide the devices in proportion to the work of each model, and bound batches by half of its objective', () => {
    // One model needs three times the time of the other: of four equal devices it gets three.
    const cluster =
      CLUSTER.slice(0, CLUSTER.indexOf('  - name: gpu1')) + CLUSTER.slice(CLUSTER.indexOf('  - name: gpu2'));
    const profiles = [profileFile('whisper', 'l4', 30), profileFile('tts', 'l4', 90)];
    const problem = buildProblem(input({ cluster, profiles, p99Ms: 900 }));
    const candidate = proportionalSpreadsheet(problem);
    const counts = problem.pools.map((_, p) => candidate?.replicas.filter(({ pool }) => pool === p).length);
    expect(counts).toEqual([1, 3]);
    // A quarter of 900 ms for whisper: half of it is 112 ms, more than a batch of 4 (75 ms).
    expect(candidate?.configs.map((config, p) => problem.pools[p]?.configs[config]?.maxBatch)).toEqual([4, 4]);
    const tight = proportionalSpreadsheet(buildProblem(input({ cluster, profiles, p99Ms: 300 })));
    expect(tight?.configs.map((config, p) => problem.pools[p]?.configs[config]?.maxBatch)).toEqual([1, 1]);
  });

  it('serve every model where there are fewer devices than models, or nothing where memory lacks', () => {
    const cluster = 'format: 1\nnodes:\n  - name: gpu1\n    devices: [{ kind: l4, memory: 24GiB, pricePerHour: 1 }]\n';
    const l4 = (weights: string) =>
      ['whisper', 'tts'].map((model) => profileFile(model, 'l4', 30, { memory: { weights } }));
    const both = proportionalSpreadsheet(buildProblem(input({ cluster, profiles: l4('4GiB') })));
    expect(both?.replicas).toEqual([
      { pool: 0, devices: [0] },
      { pool: 1, devices: [0] },
    ]);
    expect(proportionalSpreadsheet(buildProblem(input({ cluster, profiles: l4('16GiB') })))).toBeUndefined();
  });

  it('try every common limit of batches, so that none that looks at memory alone is better', () => {
    const problem = buildProblem(input());
    const judge = new Judge(problem);
    const best = commonBatchLimit(problem);
    const rate = best ? attainable(judge, best) : 0;
    for (const { name, candidate } of naivePlacements(problem)) {
      expect(rate, name).toBeGreaterThanOrEqual(0.98 * attainable(judge, candidate));
    }
  });
});

describe('the excess of an easier instance', () => {
  it('is what it costs more, infinite where it was said to be infeasible, and none where the harder one is', () => {
    expect(excessOf(3, 2.4)).toBeCloseTo(0.25);
    expect(excessOf(2.4, 2.4)).toBe(0);
    expect(excessOf(2, 2.4)).toBe(0);
    expect(excessOf(Number.POSITIVE_INFINITY, 2)).toBe(Number.POSITIVE_INFINITY);
    expect(excessOf(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)).toBe(0);
    expect(excessOf(2, Number.POSITIVE_INFINITY)).toBe(0);
  });
});

describe('plans compared with those of another run', () => {
  it('are counted as cheaper and dearer where both found one, and as lost and gained where one did', () => {
    const none = Number.POSITIVE_INFINITY;
    const costs = [
      [2, 3],
      [none, 4],
      [1, none],
      [2, none],
    ] as const;
    // As JSON has it.
    const before = [
      [2, 2.4],
      [3, 5],
      [null, 6],
      [2, null],
    ];
    expect(compared({ costs }, { costs: before })).toEqual({
      plans: 4,
      cheaper: 1,
      dearer: 1,
      cost: Number((11 / 11.4).toFixed(4)),
      worst: 0.25,
      lost: 2,
      gained: 1,
    });
  });
});
