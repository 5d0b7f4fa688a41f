import { connectTo } from '../../activities/pools/index.js';
import {
  calledPools,
  type PlacedPool,
  type PlacementDocument,
  replicaName,
  replicaNames,
} from '../../placement/document/index.js';
import { deviceQueue, poolQueue } from '../../placement/queues.js';
import { pollersOf } from '../../temporal/pollers.js';
import { FULL, failureOf, noEndpoint, type ServersOptions, seen } from './servers.js';

/** Something that a placement needs and that is not there now. */
export interface Missing {
  readonly what: 'servers' | 'workers';
  readonly text: string;
}

export interface MissingOptions extends Omit<ServersOptions, 'lookMs'> {
  /** Replicas that this placement has too are not asked for. */
  readonly except?: PlacementDocument | undefined;
}

/**
 * What of a placement does not serve now: a called device without an endpoint in the models file, with one that is draining, or that
 * answers no canary or refuses it other than for being full, or without a worker that takes the pool's calls. Empty: runs can use all
 * of it. Asked once, nothing is waited for.
 */
export async function missingOf(options: MissingOptions): Promise<readonly Missing[]> {
  const { placement, except } = options;
  const others = except && replicaNames(except);
  const asked = calledPools(placement).flatMap((pool) => {
    const own = seen(pool).filter((each) => !others?.has(replicaName(pool.model, each)));
    const devices = new Set(own.map(({ devices: [device = ''] }) => device));
    return [...devices].map(async (device) => {
      const [server, worker] = await Promise.all([
        serverMissing(options, pool.model, device),
        workerMissing(options, pool, device),
      ]);
      const missing: Missing[] = [];
      if (server !== undefined) missing.push({ what: 'servers', text: server });
      if (worker !== undefined) missing.push({ what: 'workers', text: worker });
      return missing;
    });
  });
  return (await Promise.all(asked)).flat();
}

async function serverMissing(
  { models, connectors, signal }: MissingOptions,
  model: string,
  device: string,
): Promise<string | undefined> {
  const pool = models[model];
  if (pool === undefined) return `the models file has no pool ${model}`;
  const connector = connectors.get(pool.connector);
  if (connector === undefined) return `no connector of ${model} is named "${pool.connector}"`;
  const endpoints = pool.endpoints.filter((endpoint) => endpoint.device === device);
  if (endpoints.length === 0) return `${noEndpoint(models, model)} on ${device}`;
  const draining = endpoints.find((endpoint) => endpoint.draining);
  if (draining) return `${model} at ${draining.url} on ${device} is draining`;
  const failures = await Promise.all(
    endpoints.map(async (endpoint) => {
      const backend = connectTo(connector, endpoint, pool);
      try {
        return await failureOf({ model, device, pool, backend }, FULL, signal);
      } finally {
        backend.close();
      }
    }),
  );
  const failure = failures.find((each) => each !== undefined);
  return failure && `${device}: ${failure}`;
}

/** Calls of a pool with several replicas are in the pool's queue: the worker of the device has to take those too. */
async function workerMissing(
  { connection, namespace, taskQueue }: MissingOptions,
  { model, replicas }: PlacedPool,
  device: string,
): Promise<string | undefined> {
  const own = deviceQueue(taskQueue, device);
  const shared = replicas.length > 1 ? poolQueue(taskQueue, model) : own;
  const [there, serving] = await Promise.all(
    [own, shared].map((queue) => pollersOf(connection, namespace, queue, 'stages')),
  );
  if (there?.some((worker) => serving?.includes(worker))) return undefined;
  return `no worker takes calls of ${model} on ${device} (${shared})`;
}
