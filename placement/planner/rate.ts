import { type Candidate, isPossible } from './candidate.js';
import { changes } from './changes.js';
import { construct } from './construct.js';
import { spread } from './harden.js';
import { withOneMore } from './improve.js';
import type { Judge } from './judge.js';
import type { Problem } from './problem.js';
import { qualityFloors } from './quality.js';
import { balance } from './stability.js';
import { Workbench } from './workbench.js';

/** Relative precision of rates. */
const PRECISION = 0.01;
/** Weighs the objective like a hundred devices of price 1: only time counts. */
const HASTY = 100;

/** The load that a candidate can serve, as a multiple; 0 if not even a small part. `from`: where to begin. */
export function attainable(judge: Judge, candidate: Candidate, from = 1): number {
  let low = 0;
  let high = from;
  while (judge.holds(candidate, high) && high < 1e6) {
    low = high;
    high *= 1.5;
  }
  if (low === 0) {
    low = high / 1.5;
    while (low > 1e-3 && !judge.holds(candidate, low)) {
      high = low;
      low /= 1.5;
    }
    if (low <= 1e-3) return 0;
  }
  while (high / low > 1 + PRECISION) {
    const middle = Math.sqrt(low * high);
    if (judge.holds(candidate, middle)) low = middle;
    else high = middle;
  }
  return low;
}

export interface Fastest {
  readonly candidate: Candidate;
  readonly speed: number;
}

/**
 * The placement on all devices with the highest load found, or one that serves `enough`; undefined if none serves any.
 */
export function fastestPlacement(
  problem: Problem,
  judge: Judge,
  seeds: () => readonly Candidate[],
  goOn: () => boolean,
  enough = Number.POSITIVE_INFINITY,
): Fastest | undefined {
  let best: Fastest | undefined;
  const isEnough = () => (best?.speed ?? 0) >= enough;
  const take = (candidate: Candidate | undefined) => {
    if (candidate === undefined || !isPossible(problem, candidate)) return false;
    const from = best ? best.speed * (1 + PRECISION) : 1;
    if (best && !judge.holds(candidate, from)) return false;
    const speed = attainable(judge, candidate, from);
    if (speed <= (best?.speed ?? 0)) return false;
    best = { candidate, speed };
    return true;
  };
  for (const candidate of drafts(problem)) {
    if (isEnough() || (best && !goOn())) break;
    take(candidate);
    if (!isEnough()) take(filled(problem, candidate));
  }
  for (const seed of isEnough() ? [] : seeds()) {
    if (isEnough() || (best && !goOn())) break;
    take(spread(problem, seed));
  }
  if (best === undefined) return undefined;
  for (let found = !isEnough(); found && goOn() && !isEnough(); ) {
    found = false;
    for (const next of changes(problem, best.candidate)) {
      if (!goOn()) break;
      if (!take(next)) continue;
      found = true;
      break;
    }
  }
  return best;
}

/** First drafts at rising rates, up to the last one that fits the devices. */
function* drafts(problem: Problem): Generator<Candidate> {
  const ways = ([0, HASTY] as const).flatMap((haste) =>
    [true, false].flatMap((share) => qualityFloors(problem).map((floors) => ({ share, haste, floors }))),
  );
  for (const way of ways) {
    for (const busy of [0.9, 0.6]) {
      let fits: Candidate | undefined;
      let low = 0;
      let high = 1e4;
      for (let i = 0; i < 24; i += 1) {
        const speed = low === 0 ? high / 4 : Math.sqrt(low * high);
        const candidate = construct(problem, { busy: problem.pools.map(() => busy), ...way, speed });
        const safe = candidate && spread(problem, candidate);
        if (safe && balance(problem, safe).peak * speed < 1) {
          low = speed;
          fits = safe;
        } else high = speed;
        if (high < 1e-4) break;
      }
      if (fits) yield fits;
    }
  }
}

/** The candidate with unused devices given to the busiest pools. */
function filled(problem: Problem, start: Candidate): Candidate {
  let candidate = start;
  for (let i = 0; i < problem.devices.length; i += 1) {
    const bench = new Workbench(problem, candidate);
    if (!problem.devices.some((_, device) => bench.isFree(device))) break;
    const { pools } = balance(problem, candidate);
    const order = pools.map((load, p) => ({ load, p })).sort((a, b) => b.load - a.load);
    const before = candidate;
    for (const { p } of order) {
      const more = withOneMore(problem, before, p);
      const free = more?.replicas.at(-1)?.devices.every((device) => bench.isFree(device));
      if (more && free) {
        candidate = more;
        break;
      }
    }
    if (candidate === before) break;
  }
  return candidate;
}
