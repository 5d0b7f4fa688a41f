import { describe, expect, it } from 'vitest';
import { smallInstance } from '../../../bench/planner/instances.js';
import { type Candidate, isPossible, Judge, type Problem, type Replica } from '../../../placement/planner/index.js';
import { drawOf } from '../../../placement/simulator/index.js';

/** A random possible placement: a set of pools on each device, the largest batches. */
function anyCandidate(problem: Problem, seed: number): Candidate | undefined {
  const replicas = problem.devices.flatMap((_, device) =>
    problem.pools.flatMap((_, pool): Replica[] =>
      drawOf(seed, device * 8 + pool, 5) < 0.5 ? [{ pool, devices: [device] }] : [],
    ),
  );
  const candidate = { configs: problem.pools.map(({ configs }) => configs.length - 1), replicas };
  return isPossible(problem, candidate) ? candidate : undefined;
}

/** The candidate with the devices of each kind in the opposite order: the same placement on devices that are alike. */
function mirrored(problem: Problem, { configs, replicas }: Candidate): Candidate {
  const twin = (device: number) => {
    const devices = problem.cells[problem.cellOf[device] ?? 0]?.devices ?? [];
    return devices[devices.length - 1 - devices.indexOf(device)] ?? device;
  };
  return { configs, replicas: replicas.map(({ pool, devices }) => ({ pool, devices: devices.map(twin) })) };
}

describe('the judge', () => {
  it('sees the same in whatever order replicas are listed, and on whichever of devices that are alike', () => {
    let compared = 0;
    // The first of these seeds are those on which a plan was once said to be optimal that was not.
    for (const seed of [85, 175, 203, ...Array.from({ length: 40 }, (_, i) => i + 1)]) {
      const problem = smallInstance(seed);
      const judge = new Judge(problem);
      for (let draw = 1; draw <= 4; draw += 1) {
        const candidate = anyCandidate(problem, seed * 10 + draw);
        if (candidate === undefined) continue;
        const latencies = (of: Candidate) => [...judge.see(of).result.latencyMs];
        const expected = latencies(candidate);
        expect(latencies({ ...candidate, replicas: [...candidate.replicas].reverse() }), `seed ${seed}`).toEqual(
          expected,
        );
        expect(latencies(mirrored(problem, candidate)), `seed ${seed}, mirrored`).toEqual(expected);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(20);
  });
});
