import { BUILD } from '../pipelines/definition/pinned.js';
import type { StagePlacement } from '../pipelines/run/index.js';
import type { CodeVersion } from '../pipelines/stages/kind.js';
import type { PlacedPool, PlacementDocument } from './document/index.js';
// Not by the folder's index: that reads files, with a parser of YAML, and every worker and gateway has queues.
import { calledPools, deviceQueue as ofDevice, poolQueue as ofPool } from './document/pools.js';

/*
 * Names of a placement's task queues in a deployment. They contain the deployment's own queue, so that two deployments
 * in one namespace stay separate.
 */
/** The queues that a placement assigns to a pool's calls. */
export type QueuesOf = (model: string) => (Omit<StagePlacement, 'connector'> & { readonly queue: string }) | undefined;

/** Queue of the calls that must run on one device. */
export const deviceQueue = (taskQueue: string, device: string): string => `${taskQueue}.${ofDevice(device)}`;
/** Queue of a pool's calls, served by the workers of all its devices: the first one with room takes the next call. */
export const poolQueue = (taskQueue: string, model: string): string => `${taskQueue}.${ofPool(model)}`;

/**
 * Queues of the calls of a function's version. The first is its own: functions without a version share that of their
 * build, one with a version has one named after it. The others belong to workers with compatible bodies.
 */
export function codeQueues(taskQueue: string, name: string, version: string): readonly [string, ...string[]] {
  const one = `${taskQueue}.code.${name}@${version}`;
  const any = `${taskQueue}.code.${name}@*`;
  return version.startsWith(BUILD) ? [`${taskQueue}.code.${version}`, one, any] : [one, any];
}

/** Queues that a worker with these functions serves. */
export function queuesOfCode(
  taskQueue: string,
  functions: readonly ({ readonly name: string; readonly sources?: string } & CodeVersion)[],
): readonly string[] {
  const all = functions.flatMap(({ name, version, sources, compatible }) => {
    if (version === undefined) return [];
    const [own, one] = codeQueues(taskQueue, name, version) as readonly [string, string];
    const others =
      compatible === true
        ? [`${taskQueue}.code.${name}@*`]
        : (compatible ?? []).map((other) => `${taskQueue}.code.${name}@${other}`);
    // A body kept from an earlier build is one function of that build, not all of them.
    return [sources === undefined && version.startsWith(BUILD) ? one : own, ...others];
  });
  return [...new Set(all)].sort();
}

/**
 * How long a stage waits for a worker on its assigned queue before any other worker may take it: four times the
 * predicted 99th percentile of the stage, so that a load as predicted never leaves the queue; at least 2 s, several
 * heartbeats of a busy worker.
 */
const PATIENCE = { timesP99: 4, leastMs: 2_000 };

/**
 * The queues of an applied placement. A pool with several replicas has one queue that all their workers serve; one with
 * a single replica uses its device's. If no worker takes a stage there, the deployment's own queue does, whose workers
 * call any endpoint of the pool that still answers.
 */
export function queuesOf({ pools, stages, predicted }: PlacementDocument, taskQueue: string): QueuesOf {
  const known = new Map(
    calledPools({ pools }).map((pool) => {
      const waits = Object.entries(stages).filter(([, model]) => model === pool.model);
      const longest = Math.max(0, ...waits.map(([stage]) => predicted.stages[stage]?.waitP99Ms ?? 0));
      return [pool.model, queues(pool, taskQueue, longest)];
    }),
  );
  return (model) => known.get(model);
}

function queues({ model, replicas }: PlacedPool, taskQueue: string, waitP99Ms: number) {
  const devices = replicas.map(({ devices: [first = ''] }) => first);
  const [only = '', ...others] = devices;
  return {
    device: devices.join(','),
    queue: others.length > 0 ? poolQueue(taskQueue, model) : deviceQueue(taskQueue, only),
    elsewhere: [{ queue: taskQueue, device: 'any' }],
    patienceMs: Math.max(PATIENCE.leastMs, Math.round(PATIENCE.timesP99 * waitP99Ms)),
  };
}
