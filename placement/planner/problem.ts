import type { Device, Inventory } from '../inventory/index.js';
import type { Profile } from '../profiles/index.js';
import {
  type Load,
  meanCalls,
  type Observed,
  type SimulatedDevices,
  type SimulatedStage,
  type Table,
} from '../simulator/index.js';
import type { StageObjective } from '../workload/index.js';
import type { PoolAffinity } from './affinity.js';

/** The time that whole runs must meet at the named percentile, and figures of their stages. */
export interface Objective {
  readonly p95Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
  readonly stages?: readonly StageObjective[] | undefined;
  /** Share of the runs that must meet all of these times at once. */
  readonly goodput?: number | undefined;
  /** The same for the runs that arrive in each minute. */
  readonly worstMinute?: number | undefined;
  /** Largest part of the error budget of each percentile, and of the goodput, that may be spent. */
  readonly errorBudget?: number | undefined;
}

/** What may be lost, one at a time, with the objective still kept: a device with all its parts, or a node. */
export type Survive = 'device' | 'node';

/** The quality that every pipeline must have from end to end: the product of the qualities of its stages' variants. */
export interface QualityDemand {
  readonly least: number;
  /** By pipeline: the pools of its stages, once for each stage. */
  readonly pipelines: readonly (readonly number[])[];
}

/** A stage's objective, resolved. */
export interface Target extends StageObjective {
  readonly observed: Observed;
}

/** The planner's problem in numbers: kinds, pools and stages by index. */
export interface Problem {
  readonly inventory: Inventory;
  readonly devices: readonly Device[];
  readonly simulated: SimulatedDevices;
  readonly cells: readonly Cell[];
  /** The cell of each device. */
  readonly cellOf: readonly number[];
  /** By device: a number that devices of a cell with the same links share. Their contents can be exchanged. */
  readonly alike: readonly number[];
  readonly kinds: readonly string[];
  readonly stages: readonly SimulatedStage[];
  /** Names of the pipelines. */
  readonly pipelines: readonly string[];
  /** `<pipeline>/<stage>`. */
  readonly stageNames: readonly string[];
  readonly pools: readonly PoolProblem[];
  readonly load: Load;
  /** Runs of the load that fail on any placement. */
  readonly failing: number;
  readonly objective: Objective;
  /** The objective's stages, resolved. */
  readonly targets: readonly Target[];
  /** A single loss after which the objective must hold as well. The loss of any one spot device is another. */
  readonly survive?: Survive | undefined;
  /** The quality that pipelines must have from end to end. */
  readonly quality?: QualityDemand | undefined;
  /** How long batches may wait to fill, in milliseconds, ascending; empty: they begin as soon as a replica is free. */
  readonly delaysMs: readonly number[];
  /** Seed of the simulations. */
  readonly seed: number;
  readonly assumptions: readonly string[];
  /** What the owner should know before trusting the plan: loads outside of what was measured. */
  readonly warnings: readonly string[];
  /** Share of the load's runs that fit no device's memory. They are not part of `load`. */
  readonly oversizedShare: number;
}

/** Equivalent devices: same kind, price, billing and node. */
export interface Cell {
  readonly kind: number;
  readonly node: string;
  readonly pricePerHour: number;
  readonly billing?: Device['billing'] | undefined;
  readonly concurrency: number;
  /** How many times as long a call takes while as many run. */
  readonly slowdown: number;
  /** Work of calls that run at once, at most: as many of them over how much they slow each other. */
  readonly capacity: number;
  readonly sharing: Device['sharing'];
  readonly memoryBytes: number;
  readonly memoryUtilization: number;
  readonly devices: readonly number[];
}

export interface PoolProblem {
  readonly model: string;
  /** Ways to serve it: variants by batch sizes. */
  readonly configs: readonly Config[];
  /** It only processes prompts, for the pool that generates. Absent: it serves whole calls, or generates. */
  readonly handsTo?: HandsTo | undefined;
  /** How its calls choose among its replicas. */
  readonly affinity?: PoolAffinity | undefined;
}

/** How the prompts of one pool pass to another, which pulls their key-value caches. */
export interface HandsTo {
  readonly pool: number;
  /** Bytes of a token in the cache, on all devices of a replica together. */
  readonly tokenBytes: number;
  /** Calls of a run and of a second, and average tokens of their prompts. */
  readonly callsPerRun: number;
  readonly callsPerSecond: number;
  readonly meanTokens: number;
}

export interface Config {
  readonly variant: string;
  readonly quality: number;
  readonly batching: 'dynamic' | 'continuous';
  readonly maxBatch: number;
  /** By kind; undefined if it was not profiled or does not fit. */
  readonly uses: readonly (Use | undefined)[];
}

/** A replica of a configuration on a kind of device. */
export interface Use {
  readonly profile: Profile;
  readonly maxBatch: number;
  readonly preferred: readonly number[];
  /** Devices of a replica. */
  readonly width: number;
  /** On each of them: what the model needs at least, what is reserved included. An LLM replica's cache also takes what is left of its devices. */
  readonly memoryBytes: number;
  /** Tokens in the key-value cache within `memoryBytes`; infinite for other models. */
  readonly mostTokens: number;
  /** Bytes of a token in the key-value cache, on each device; 0: none, or unknown. */
  readonly tokenBytes: number;
  readonly tables: readonly (Table | undefined)[];
  /** Sum of the pool's stage times in full batches, in milliseconds. */
  readonly batchMs: number;
  /**
   * Replicas that the load keeps busy with the most efficient batches: a lower bound for any placement. Calls that fit the cache of no device of the
   * kind are left out.
   */
  readonly erlangs: number;
  /** Replicas that it keeps busy in full batches, as long queues make them: no fewer than this many can sustain it. LLMs: as `erlangs`. */
  readonly fullErlangs: number;
  /** What drafts count on, no bound: the same in batches that are likely in time, and far more if none is. */
  readonly draftErlangs: number;
  /** Share of the calls, at the stage with the least, that fit the cache of a device of the kind. */
  readonly heldShare: number;
  /** Erlangs beyond `erlangs` if the pool has so many replicas, whose prefix caches have less of the prompts then. Absent: none. */
  readonly extraErlangs?: ((replicas: number) => number) | undefined;
}

/** Whether a replica takes a part of the memory that its devices leave, as the key-value cache of an LLM does. */
export const takesTheRest = ({ profile }: Use): boolean =>
  profile.batching === 'continuous' && profile.memory !== undefined;

/** Replicas that the load keeps busy in full batches, in a pool of so many: all calls that fit their caches. */
export const erlangsAt = ({ fullErlangs, extraErlangs }: Use, replicas: number): number =>
  fullErlangs + (extraErlangs?.(replicas) ?? 0);

/** Whether two pools are the parts of one model that is served apart. They share no device. */
export const areParts = ({ pools }: Pick<Problem, 'pools'>, a: number, b: number): boolean =>
  pools[a]?.handsTo?.pool === b || pools[b]?.handsTo?.pool === a;

/**
 * Calls of a stage that reach its pool, per run, on average: branches, caches and retries included. No more than on any placement: a run that
 * fails elsewhere counts for none.
 */
export function callsPerRun(stages: readonly SimulatedStage[], v: number): number {
  const stage = stages[v];
  if (stage === undefined) return 0;
  const { share, cacheHitRate, failureRate, attempts, streamFrom } = stage;
  let tries = 0;
  // The pieces of a stream are one call: only the first that is read fails.
  for (let i = 0; i < (streamFrom === undefined ? attempts : 1); i += 1) tries += failureRate ** i;
  return meanCalls(stage) * share * (1 - cacheHitRate) * tries * unfailedShare(stages, v);
}

/**
 * The share of the runs, at least, that do not fail at a stage of their pipeline that may end before this one begins or, if this one reads a
 * stream piece by piece, at any. All draws are independent, and a run with the most calls is the likeliest to fail.
 */
function unfailedShare(stages: readonly SimulatedStage[], v: number): number {
  if (stages.every(({ failureRate }) => failureRate === 0)) return 1;
  const { pipeline: own, streamFrom } = stages[v] ?? {};
  const behind = new Set([v]);
  let unfailed = 1;
  for (const [u, each] of stages.entries()) {
    if (each.after.some((before) => behind.has(before))) behind.add(u);
    if (each.pipeline !== own || (streamFrom === undefined && behind.has(u))) continue;
    const callEnds = 1 - (1 - each.cacheHitRate) * each.failureRate ** each.attempts;
    unfailed *= 1 - each.share * (1 - callEnds ** each.calls);
  }
  return unfailed;
}
