import { type Candidate, costOf, replicasByDevice } from './candidate.js';
import { changes } from './changes.js';
import type { Judge } from './judge.js';
import type { Problem } from './problem.js';
import { balance } from './stability.js';

/** Utilisation above which a candidate is not worth a simulation. */
export const FULL = 0.995;
/** Reach from which a candidate is worth mending: at most about twice as many late runs as may be. */
const NEAR = 0.5;
/** A step must come nearer to the objective by this share of the load. */
const LEAST_GAIN = 0.02;
/** Most simulations for a step. */
const MOST_TRIED = 60;

/**
 * A candidate that meets the objective and costs less than `below`, made step by step from one that nearly does: each step is a
 * neighbour that costs less than `below` as well and comes nearer to the objective (`Judge.reach`). Candidates between two
 * placements that meet it often do not, so that steps which all must meet it end at a placement that is not the cheapest.
 * Undefined if the start is too far from the objective, or no step comes nearer.
 *
 * @param most simulations in all
 * @param near reach from which the start is not too far
 */
export function mended(
  problem: Problem,
  judge: Judge,
  start: Candidate,
  below: number,
  most: number,
  goOn: () => boolean,
  near = NEAR,
): Candidate | undefined {
  let best = start;
  let reach = judge.reach(start);
  if (reach < near) return undefined;
  const begun = judge.trials;
  let tried = 0;
  for (let found = true; found; ) {
    found = false;
    for (const next of changes(problem, best, devicesBelow(problem, best, below))) {
      if (costOf(problem, next) >= below - 1e-9 || balance(problem, next).peak >= FULL) continue;
      if (tried >= MOST_TRIED || judge.trials - begun >= most || !goOn()) return undefined;
      tried += 1;
      const nearer = judge.reach(next);
      if (nearer >= 1) return next;
      if (nearer < reach + LEAST_GAIN) continue;
      best = next;
      reach = nearer;
      tried = 0;
      found = true;
      break;
    }
  }
  return undefined;
}

/** The candidate's devices, and the first free one of each cell that leaves the cost below. */
function devicesBelow(problem: Problem, candidate: Candidate, below: number): readonly number[] {
  const used = replicasByDevice(candidate);
  const left = below - costOf(problem, candidate) - 1e-9;
  const free = problem.cells.flatMap(({ pricePerHour, devices }) =>
    pricePerHour < left ? (devices.find((device) => !used.has(device)) ?? []) : [],
  );
  return [...used.keys(), ...free];
}
