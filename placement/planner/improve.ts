import { type Candidate, cellAt, costOf, isPossible, type Replica } from './candidate.js';
import { changes } from './changes.js';
import { construct, type Draft } from './construct.js';
import { hardened, spread } from './harden.js';
import { slowest } from './in-time.js';
import type { Judge } from './judge.js';
import { demandsLosses } from './losses.js';
import type { Problem } from './problem.js';
import { qualityFloors } from './quality.js';
import { balance } from './stability.js';
import { timesAt } from './transfers.js';
import { Workbench } from './workbench.js';

/** Utilisations of first drafts, highest first. */
const BUSY = [0.97, 0.9, 0.8, 0.7, 0.55, 0.4, 0.25];

type GoOn = () => boolean;

/** Weights of speed, as multiples of the average price of a kind: a higher weight chooses faster kinds. */
const HASTE = [0, 0.3, 1, 3, 10];

/**
 * First drafts that meet the objective, cheapest first: full devices, and less full or faster ones if queues require
 * it. If none does, a repaired one.
 */
export function firstDrafts(problem: Problem, judge: Judge, goOn: GoOn): readonly Candidate[] {
  // Not of a device: one more that is not used must not change the drafts.
  const prices = problem.kinds.map((_, k) =>
    Math.min(...problem.cells.flatMap(({ kind, pricePerHour }) => (kind === k ? [pricePerHour] : []))),
  );
  const price = prices.reduce((sum, each) => sum + each, 0) / prices.length || 1;
  const floors = qualityFloors(problem);
  const ways: readonly Way[] = HASTE.flatMap((haste) =>
    floors.flatMap((each) =>
      [true, false].map((share) => ({ share, haste: haste * price, floors: each, left: [...BUSY], failed: [] })),
    ),
  );
  // Each way first with full devices: what meets the objective so is among the cheapest, and what does not is soon seen to miss it. One that meets it is made
  // fuller at once, and others that cost more then take no time.
  let least = Number.POSITIVE_INFINITY;
  for (const _ of BUSY) {
    for (const way of ways) {
      if (!isOpen(way) || !goOn()) continue;
      draftNext(problem, judge, way, least);
      narrow(problem, judge, way, least, goOn);
      least = Math.min(least, way.held?.isSeen ? way.held.cost : Number.POSITIVE_INFINITY);
    }
  }
  // Out of time without any: each way to its end, until a draft meets the objective.
  for (const way of ways) {
    while (isOpen(way) && ways.every(({ held }) => held === undefined)) draftNext(problem, judge, way, least);
  }
  const held = ways.flatMap((way) => (way.held?.isSeen ? [way.held.candidate] : []));
  const failed = ways.flatMap((way) => way.failed.map(({ candidate }) => candidate));
  // The least full or fastest draft is the closest to meeting the objective.
  for (const candidate of held.length > 0 ? [] : failed.reverse().slice(0, MOST_REPAIRED)) {
    // A draft on spot devices may miss the objective because it has no spares, or for the reasons of any other draft.
    const repaired =
      (demandsLosses(problem) ? hardened(problem, judge, candidate, goOn) : undefined) ??
      (problem.survive === undefined ? repair(problem, judge, candidate, goOn) : undefined);
    if (repaired) held.push(repaired);
    if (!goOn()) break;
  }
  return held.sort((a, b) => costOf(problem, a) - costOf(problem, b));
}

/** How drafts are made, but for how full their devices are, and those made so. */
interface Way extends Omit<Draft, 'busy'> {
  /** Utilisations not yet tried, highest first. */
  readonly left: number[];
  /** The fullest known that meets the objective. */
  held?: Drafted;
  /** Those with fuller devices, which do not, fullest first. */
  readonly failed: Drafted[];
}

interface Drafted {
  readonly candidate: Candidate;
  readonly cost: number;
  /** Of its devices. */
  readonly busy: number;
  /** Whether it is simulated; one that is not counts as one that meets the objective. */
  readonly isSeen: boolean;
}

/** Whether another draft is to be made in this way. */
const isOpen = ({ held, left }: Way): boolean => held === undefined && left.length > 0;

/** Makes the next draft of a way. */
function draftNext(problem: Problem, judge: Judge, way: Way, least: number): void {
  const busy = way.left.shift() as number;
  const draft = drafted(problem, way, busy, least);
  if (draft === undefined) return;
  if (!draft.isSeen || judge.holds(draft.candidate)) way.held = draft;
  else way.failed.push(draft);
}

/**
 * A way's draft with devices that are `busy` for this share of the time. If there are too few, no other is made in this way: less full ones would need more of them. One of a large placement
 * that costs at least `least` need not be simulated, which takes the longest where the objective is met.
 */
function drafted(problem: Problem, way: Way, busy: number, least: number): Drafted | undefined {
  const first = construct(problem, { busy: problem.pools.map(() => busy), ...way });
  if (first === undefined) way.left.length = 0;
  const candidate = first && spread(problem, first);
  if (candidate === undefined) return undefined;
  const cost = costOf(problem, candidate);
  return { candidate, cost, busy, isSeen: candidate.replicas.length <= MOST_SMALL || cost < least - 1e-9 };
}

/**
 * Makes the devices of a way's draft as full as the objective allows, between it and the fuller one that misses it, if that may make it the cheapest. Only of
 * large placements: of small ones the steps that follow find it.
 */
function narrow(problem: Problem, judge: Judge, way: Way, least: number, goOn: GoOn): void {
  const fuller = way.failed.at(-1);
  if (way.held === undefined || fuller === undefined || fuller.cost >= least) return;
  let high = fuller.busy;
  for (let i = 0; i < HALVINGS && way.held.candidate.replicas.length > MOST_SMALL && goOn(); i += 1) {
    const busy = (way.held.busy + high) / 2;
    const draft = drafted(problem, way, busy, least);
    if (draft && (draft.isSeen ? judge.holds(draft.candidate) : !way.held.isSeen)) way.held = draft;
    else high = busy;
  }
}

/** How often the step between the two is halved, and the replicas of the largest placement that counts as small. */
const HALVINGS = 3;
const MOST_SMALL = 24;

/** Most drafts to repair, and most repairs of one. */
const MOST_REPAIRED = 4;
const MOST_REPAIRS = 40;

/**
 * Lowers a candidate's 99th percentile step by step, by an additional replica where calls wait, other batches, or
 * another kind of device, until it meets the objective; undefined if no step helps.
 */
function repair(problem: Problem, judge: Judge, start: Candidate, goOn: GoOn): Candidate | undefined {
  let candidate = start;
  let seen = scoreOf(problem, judge, candidate);
  for (let i = 0; i < MOST_REPAIRS && goOn(); i += 1) {
    if (judge.holds(candidate)) return candidate;
    let best: { readonly next: Candidate; readonly score: number; readonly waits: number[] } | undefined;
    const order = seen.waits.map((wait, p) => ({ wait, p })).sort((a, b) => b.wait - a.wait);
    // Another variant may not run where the replicas are.
    const steps = order
      .slice(0, 3)
      .flatMap(({ p }) => repairs(problem, candidate, p))
      .filter((next) => isPossible(problem, next));
    for (const next of steps) {
      const { score, waits } = scoreOf(problem, judge, next);
      if (score < (best?.score ?? seen.score) - 1e-9) best = { next, score, waits };
      // Of a large placement the first helpful step is taken.
      if (best && isLarge(problem, candidate)) break;
    }
    if (best === undefined) return undefined;
    candidate = best.next;
    seen = best;
  }
  return judge.holds(candidate) ? candidate : undefined;
}

/** Whether there are too many steps to try them all. Devices that are not used do not count: they must not change the steps. */
const isLarge = ({ cells }: Problem, { replicas }: Candidate): boolean =>
  replicas.length > PAIRS_UP_TO || cells.length > PAIRS_UP_TO;

/** How late a candidate's runs are, and where: by pool, waits and services of its calls. */
function scoreOf(problem: Problem, judge: Judge, candidate: Candidate) {
  const seen = judge.see(candidate);
  const { result } = seen;
  const waits = timesAt(problem, result);
  const peak = balance(problem, candidate).peak;
  const { objective, targets } = problem;
  const time = slowest(seen, objective.p99Ms === undefined ? 'p95Ms' : 'p99Ms');
  // With several objectives, the one that is missed most counts, as a multiple of its limit.
  const limit = objective.p99Ms ?? objective.p95Ms ?? Number.POSITIVE_INFINITY;
  const missed = targets.map(({ ms }, i) => (seen.targets[i] ?? 0) / ms);
  const { used } = seen.attainment;
  const score = targets.length === 0 && used === 0 ? time : Math.max(time / limit, used, ...missed);
  return { score: peak >= 1 ? score * (1 + peak) : score, waits };
}

function repairs(problem: Problem, candidate: Candidate, pool: number): readonly Candidate[] {
  const more = withOneMore(problem, candidate, pool);
  const config = candidate.configs[pool] ?? 0;
  const batches = [config + 1, config - 1].flatMap((next) =>
    problem.pools[pool]?.configs[next] === undefined
      ? []
      : [{ ...candidate, configs: candidate.configs.map((each, q) => (q === pool ? next : each)) }],
  );
  // The whole pool on the first free device of another cell.
  const bench = new Workbench(problem, candidate);
  const moved = freeOnes(problem, bench).flatMap((device) => {
    const kept = candidate.replicas.filter((replica) => replica.pool !== pool);
    return bench.fits(pool, device) ? [{ ...candidate, replicas: [...kept, { pool, devices: [device] }] }] : [];
  });
  return [...(more ? [more] : []), ...moved, ...batches];
}

/**
 * The candidate with an additional replica of a pool: on the cheapest free device, else on the least busy one with
 * room.
 */
export function withOneMore(problem: Problem, candidate: Candidate, pool: number): Candidate | undefined {
  const bench = new Workbench(problem, candidate);
  const cells = problem.cells.map((cell, c) => ({ c, price: cell.pricePerHour })).sort((a, b) => a.price - b.price);
  for (const { c } of cells) {
    const free = bench.freeFor(pool, c);
    if (free === undefined || !free.every((device) => bench.use(pool, device))) continue;
    bench.add(pool, free);
    return bench.candidate;
  }
  const { devices } = balance(problem, candidate);
  const [least] = [...devices].filter(([device]) => bench.fits(pool, device)).sort((a, b) => a[1] - b[1]);
  if (least === undefined) return undefined;
  bench.add(pool, [least[0]]);
  return bench.candidate;
}

/**
 * Makes a feasible candidate cheaper, step by step, as long as the judge accepts. If no step is cheaper, one with more
 * slack at the same cost is taken: it may enable the next cheaper step.
 */
export function improve(problem: Problem, judge: Judge, start: Candidate, goOn: GoOn): Candidate {
  let best = thinned(problem, judge, start, goOn);
  let share = 1;
  const step = (neighbours: Iterable<Candidate>, better: (next: Candidate) => boolean): boolean => {
    for (const next of neighbours) {
      if (!goOn()) return false;
      if (!better(next)) continue;
      best = next;
      return true;
    }
    return false;
  };
  for (let found = true; found && goOn(); ) {
    const cost = costOf(problem, best);
    const isCheaper = (next: Candidate) => costOf(problem, next) < cost - 1e-9 && judge.holds(next);
    found = step(cheaper(problem, best), isCheaper);
    if (found) share = 1;
    else if (problem.devices.length <= MOST_LEFT) {
      const tighter = share * EASIER;
      found = step(
        changes(problem, best),
        (next) => costOf(problem, next) <= cost + 1e-9 && judge.holdsTighter(next, tighter),
      );
      if (found) share = tighter;
    }
  }
  return best;
}

/** A step at the same cost may leave at most this share of the time. */
const EASIER = 0.97;

/** Removes replicas in groups, pool by pool, the most expensive pool first. */
function thinned(problem: Problem, judge: Judge, start: Candidate, goOn: GoOn): Candidate {
  let best = start;
  const pools = problem.pools
    .map((_, p) => ({ p, count: start.replicas.filter(({ pool }) => pool === p).length }))
    .sort((a, b) => b.count - a.count);
  for (const { p, count } of pools) {
    // Halves the group until one passes; whole devices only, so that each step saves cost.
    for (let take = Math.floor(count / 4); take >= 1 && count > 4 && goOn(); take = Math.floor(take / 2)) {
      const next = without(problem, best, aloneOnDevice(best, p).slice(-take));
      if (next !== undefined && judge.holds(next)) best = next;
    }
  }
  return best;
}

const aloneOnDevice = ({ replicas }: Candidate, pool: number): readonly Replica[] =>
  replicas.filter(
    (replica) =>
      replica.pool === pool &&
      replica.devices.every((d) => replicas.every((r) => r === replica || !r.devices.includes(d))),
  );

function without(problem: Problem, candidate: Candidate, gone: readonly Replica[]): Candidate | undefined {
  if (gone.length === 0) return undefined;
  const replicas = candidate.replicas.filter((replica) => !gone.includes(replica));
  const next = { ...candidate, replicas };
  return balance(problem, next).peak < 1 ? next : undefined;
}

/** Devices in use examined per step of a large placement: those whose removal saves most. */
const MOST_LEFT = 48;
/** Placements with more devices are not searched for pairs. */
const PAIRS_UP_TO = 12;

/** Candidates with cheaper or fewer devices. */
function* cheaper(problem: Problem, candidate: Candidate): Generator<Candidate> {
  const { devices: loads } = balance(problem, candidate);
  const bench = new Workbench(problem, candidate);
  const price = (device: number) => cellAt(problem, device)?.pricePerHour ?? 0;
  const used = [...bench.usedDevices()].sort(
    (a, b) => price(b) - price(a) || (loads.get(a) ?? 0) - (loads.get(b) ?? 0),
  );
  const worst = used.slice(0, MOST_LEFT);
  for (const device of worst) {
    yield* variants(problem, vacated(problem, candidate, [device], 'move'));
    yield* variants(problem, vacated(problem, candidate, [device], 'drop'));
    for (const free of freeOnes(problem, bench)) {
      if (price(free) < price(device)) yield* variants(problem, vacated(problem, candidate, [device], free));
    }
  }
  if (used.length > PAIRS_UP_TO) return;
  for (const [i, a] of used.entries()) {
    for (const b of used.slice(i + 1)) {
      for (const free of freeOnes(problem, bench)) {
        if (price(free) < price(a) + price(b)) yield* variants(problem, vacated(problem, candidate, [a, b], free));
      }
      yield* variants(problem, vacated(problem, candidate, [a, b], 'move'));
    }
  }
}

/** The first free device of each cell. */
const freeOnes = ({ cells }: Problem, bench: Workbench): readonly number[] =>
  cells.flatMap(({ devices }) => devices.find((device) => bench.isFree(device)) ?? []);

/**
 * The candidate without these devices: their replicas move to the least busy devices with room, or to one given device,
 * or are dropped. Undefined if that is impossible.
 */
function vacated(
  problem: Problem,
  candidate: Candidate,
  devices: readonly number[],
  to: 'move' | 'drop' | number,
): Candidate | undefined {
  const bench = new Workbench(problem, candidate);
  const gone = [...new Set(devices.flatMap((device) => bench.on(device)))];
  for (const replica of gone) bench.remove(replica);
  if (to !== 'drop') {
    const loads = new Map(balance(problem, bench.candidate).devices);
    for (const { pool } of gone) {
      if (typeof to === 'number') {
        if (bench.fits(pool, to)) bench.add(pool, [to]);
        else if (bench.countOf(pool) === 0) return undefined;
        continue;
      }
      const loadOf = ([first = -1]: readonly number[]) => loads.get(first) ?? 0;
      const [target] = [...bench.placesFor(pool)].sort((a, b) => loadOf(a) - loadOf(b));
      if (target !== undefined) {
        bench.add(pool, target);
        loads.set(target[0] ?? -1, loadOf(target) + 0.1);
      } else if (bench.countOf(pool) === 0) return undefined;
    }
  }
  return bench.candidate;
}

/** The candidate, and the same with one pool's batches larger or smaller. */
function* variants(problem: Problem, candidate: Candidate | undefined): Generator<Candidate> {
  if (candidate === undefined) return;
  yield candidate;
  if (candidate.replicas.length > PAIRS_UP_TO) return;
  for (const [p, config] of candidate.configs.entries()) {
    for (const next of [config + 1, config - 1]) {
      if (problem.pools[p]?.configs[next] === undefined) continue;
      yield { ...candidate, configs: candidate.configs.map((each, q) => (q === p ? next : each)) };
    }
  }
}

/** The candidate with higher-quality variants if they meet the objective at no additional cost. */
export function refined(problem: Problem, judge: Judge, start: Candidate, goOn: GoOn): Candidate {
  let best = start;
  for (const [p, { configs }] of problem.pools.entries()) {
    const now = configs[best.configs[p] ?? 0];
    const better = configs
      .map((config, c) => ({ c, quality: config.quality }))
      .filter(({ quality }) => quality > (now?.quality ?? 0))
      .sort((a, b) => b.quality - a.quality);
    for (const { c } of better) {
      if (!goOn()) return best;
      const next = { ...best, configs: best.configs.map((each, q) => (q === p ? c : each)) };
      if (judge.holds(next)) {
        best = next;
        break;
      }
    }
  }
  return best;
}
