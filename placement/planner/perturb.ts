import { drawOf } from '../simulator/index.js';
import { type Candidate, cellAt, costOf, keyOf } from './candidate.js';
import { mayWait, withDelay } from './delays.js';
import type { Judge } from './judge.js';
import { demandsLosses } from './losses.js';
import { FULL, mended } from './mend.js';
import type { Problem } from './problem.js';
import { balance } from './stability.js';
import { Workbench } from './workbench.js';

/** Purpose of the draws. */
const PERTURB = 17;
/** Rounds without a possible candidate after which the neighbourhood counts as exhausted. */
const MOST_EMPTY = 400;
/** Possible candidates in a row that do not meet the objective, after which another search finds more. */
const MOST_FRUITLESS = 2_000;
/** Draws that no round exceeds. */
const ROUND = 10_000_000;
/** Share of the candidates that are made from another start than the best, and most of these. */
const ELSEWHERE = 0.25;
const MOST_STARTS = 4;
/** Share of the candidates that may cost more than the best, by what share: if they meet the objective, they are other starts. */
const DETOURS = 0.15;
const DETOUR = 0.03;
/** Fewest simulations that are worth an attempt to mend a candidate. */
const LEAST_MENDING = 16;

/**
 * Searches cheaper placements at random: some devices are cleared, and what they served goes to devices that cost less
 * together, several cheap ones in place of a dear one included; some batches change. One that nearly meets the objective is
 * mended, for as many simulations as the others take. Candidates that could not be cheaper or whose load cannot be balanced are not
 * simulated. The same seed and round give the same search.
 *
 * @param starts placements that meet the objective, the best one first
 * @param isEnough whether to stop at a placement that is cheaper than all before
 */
export function perturbed(
  problem: Problem,
  judge: Judge,
  starts: readonly [Candidate, ...Candidate[]],
  least: number,
  goOn: () => boolean,
  round = 0,
  isEnough: (best: Candidate) => boolean = () => false,
): Candidate {
  let [best, ...others] = starts;
  let cost = costOf(problem, best);
  let turn = round * ROUND;
  const draw = () => drawOf(problem.seed, turn++, PERTURB);
  // What a loss leaves has other devices: a step that mends the whole may not mend it.
  const mends = !demandsLosses(problem);
  const begun = judge.trials;
  let mending = 0;
  const mend = (candidate: Candidate) => {
    const before = judge.trials;
    const most = before - begun - 2 * mending;
    if (!mends || most < LEAST_MENDING) return undefined;
    const found = mended(problem, judge, candidate, cost, most, goOn);
    mending += judge.trials - before;
    return found;
  };
  const seen = new Set(starts.map((each) => keyOf(problem, each)));
  let fruitless = 0;
  for (let empty = 0; empty < MOST_EMPTY && fruitless < MOST_FRUITLESS && cost > least + 1e-9 && goOn(); ) {
    const from = others.length > 0 && draw() < ELSEWHERE ? others[Math.floor(draw() * others.length)] : best;
    const below = draw() < DETOURS ? cost * (1 + DETOUR) + 2e-9 : cost;
    const next = neighbour(problem, from ?? best, below, draw);
    const key = next && keyOf(problem, next);
    if (next === undefined || key === undefined || seen.has(key)) {
      empty += 1;
      continue;
    }
    empty = 0;
    seen.add(key);
    fruitless += 1;
    if (balance(problem, next).peak >= FULL) continue;
    const held = judge.holds(next) ? next : below === cost ? mend(next) : undefined;
    if (held === undefined) continue;
    const isCheaper = costOf(problem, held) < cost - 1e-9;
    others = [...others, isCheaper ? best : held].slice(-MOST_STARTS);
    if (!isCheaper) continue;
    best = held;
    cost = costOf(problem, best);
    fruitless = 0;
    if (isEnough(best)) break;
  }
  return best;
}

/** A neighbour that costs less than `below`; undefined if this draw gives none. */
function neighbour(problem: Problem, from: Candidate, below: number, draw: () => number): Candidate | undefined {
  const bench = new Workbench(problem, from);
  const pick = <T>(all: readonly T[]): T | undefined => all[Math.floor(draw() * all.length)];
  const price = (device: number) => cellAt(problem, device)?.pricePerHour ?? 0;
  const used = bench.usedDevices();
  const clear = Math.min(used.length, 1 + Math.floor(4 * draw() ** 2));
  const lost = new Map<number, number>();
  let left = costOf(problem, from);
  for (let i = 0; i < clear; i += 1) {
    const device = pick(bench.usedDevices());
    if (device === undefined) break;
    for (const replica of bench.on(device)) {
      lost.set(replica.pool, (lost.get(replica.pool) ?? 0) + 1);
      for (const other of replica.devices) if (bench.on(other).length === 1) left -= price(other);
      bench.remove(replica);
    }
  }
  for (const [p, { configs }] of problem.pools.entries()) {
    if (draw() < 0.15) bench.setConfig(p, Math.floor(draw() * configs.length));
  }
  // Strictly cheaper.
  let budget = below - left - 1e-9;
  const share = draw();
  for (const pool of [...lost.keys()].sort(() => draw() - 0.5)) {
    const wanted = Math.max(1, Math.round((lost.get(pool) ?? 1) * (0.5 + draw())) + (draw() < 0.3 ? 1 : 0));
    for (let i = 0; i < wanted; i += 1) {
      const onUsed = bench.placesFor(pool);
      const free = problem.cells.flatMap((cell, c) => {
        if (cell.pricePerHour >= budget) return [];
        const devices = bench.freeFor(pool, c);
        return devices && cell.pricePerHour * devices.length < budget && devices.every((d) => bench.use(pool, d))
          ? [devices]
          : [];
      });
      const taken = draw() < share && onUsed.length > 0 ? undefined : pick(free);
      if (taken) {
        bench.add(pool, taken);
        budget -= taken.reduce((sum, device) => sum + price(device), 0);
      } else {
        const devices = pick(onUsed);
        if (devices === undefined) break;
        bench.add(pool, devices);
      }
    }
    if (bench.countOf(pool) === 0) return undefined;
  }
  // What the budget still allows: a copy of any pool on the devices in use.
  if (draw() < 0.3) {
    const pool = Math.floor(draw() * problem.pools.length);
    const device = pick(bench.usedDevices().filter((each) => bench.fits(pool, each)));
    if (device !== undefined && bench.on(device).every((each) => each.pool !== pool)) bench.add(pool, [device]);
  }
  const { configs, replicas, delaysMs } = bench.candidate;
  const next = { configs: [...configs], replicas: [...replicas], delaysMs };
  if (costOf(problem, next) >= below - 1e-9) return undefined;
  return problem.delaysMs.length > 0 && draw() < 0.5 ? waiting(problem, next, draw) : next;
}

/** The batches of one pool wait so long, and those of the others as before or, as often, just for calls that come together. */
function waiting(problem: Problem, candidate: Candidate, draw: () => number): Candidate {
  const able = problem.pools.flatMap((_, p) => (mayWait(problem, p) ? [p] : []));
  const pool = able[Math.floor(draw() * able.length)];
  if (pool === undefined) return candidate;
  const ms = [0, ...problem.delaysMs][Math.floor(draw() * (problem.delaysMs.length + 1))] ?? 0;
  if (draw() < 0.5) return withDelay(problem, candidate, pool, ms);
  const [shortest = 0] = problem.delaysMs;
  return { ...candidate, delaysMs: problem.pools.map((_, p) => (p === pool ? ms : able.includes(p) ? shortest : 0)) };
}
