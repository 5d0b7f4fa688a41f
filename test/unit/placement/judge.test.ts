import { describe, expect, it } from 'vitest';
import { smallInstance } from '../../../bench/planner/instances.js';
import { type Candidate, isPossible, Judge, type Problem, type Replica } from '../../../placement/planner/index.js';
import type { Seen } from '../../../placement/planner/judge.js';
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

  it('does not simulate again what it has just simulated to its end', () => {
    let reused = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const problem = smallInstance(seed);
      const candidate = anyCandidate(problem, seed * 10 + 1);
      const judge = new Judge(problem);
      if (candidate === undefined || !judge.holds(candidate)) continue;
      const before = judge.simulations;
      const latencies = ({ result }: Seen) => [...result.latencyMs];
      expect(latencies(judge.see(candidate))).toEqual(latencies(new Judge(problem).see(candidate)));
      expect(judge.simulations).toBe(before);
      const slower = latencies(judge.see(candidate, { slowdown: 1.1 }));
      expect(judge.simulations).toBe(before + 1);
      expect(latencies(judge.see(candidate))).not.toEqual(slower);
      expect(judge.simulations).toBe(before + 2);
      reused += 1;
    }
    expect(reused).toBeGreaterThan(3);
  });
});
