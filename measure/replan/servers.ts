import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import type { Backend, Connectors, ServerWork } from '../../activities/connectors/index.js';
import { connectTo, type ModelsConfig } from '../../activities/pools/index.js';
import { type ErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import { calledPools, type PlacedPool, type PlacementDocument } from '../../placement/document/index.js';
import { deviceQueue } from '../../placement/queues.js';
import type { LostDevice, Measured } from '../../placement/replan/index.js';
import { limited } from '../../runtime/limited.js';
import { pollersOf } from '../../temporal/pollers.js';

/**
 * Longest wait for a server's statistics, which normally take a millisecond, and for a canary, which waits behind the
 * calls of a full server.
 */
const ANSWER_MS = { count: 2_000, canary: 15_000 };

/** Codes of a failed canary of a server that serves calls, and is full. */
export const FULL: ReadonlySet<ErrorCode> = new Set(['BACKEND_OVERLOADED', 'BACKEND_RATE_LIMITED', 'RATE_LIMITED']);
/** Those that show that a device works, though its server may refuse every call. */
const WORKS: ReadonlySet<ErrorCode> = new Set([...FULL, 'BACKEND_UNAUTHORIZED', 'BACKEND_REJECTED']);

export interface ServersOptions {
  readonly placement: PlacementDocument;
  /** With the endpoints that pools with `discover` have now. */
  readonly models: ModelsConfig;
  readonly connectors: Connectors;
  readonly connection: Connection;
  readonly namespace: string;
  /** The deployment's own task queue. */
  readonly taskQueue: string;
  /** Interval between two readings of servers' statistics, in milliseconds. */
  readonly lookMs: number;
  readonly signal: AbortSignal;
}

/** An endpoint of a pool on a device of the placement. */
export interface Placed {
  readonly model: string;
  readonly device: string;
  readonly pool: ModelsConfig[string];
  readonly backend: Backend;
}

/**
 * State of a placement's servers: their own call times between two readings, and lost devices: those where a model has
 * no endpoint that answers a canary, and those whose queue no worker serves.
 */
export async function measureServers(options: ServersOptions): Promise<Pick<Measured, 'services' | 'lost'>> {
  const { placement, lookMs, signal } = options;
  const placed = placedOf(options);
  try {
    const before = await countsOf(placed, signal);
    const [lost] = await Promise.all([
      lostOf(options, placed),
      sleep(lookMs, undefined, { signal }).catch(() => undefined),
    ]);
    const services = servicesOf(placed, before, await countsOf(placed, signal));
    const devices = new Set(calledPools(placement).flatMap((pool) => seen(pool).flatMap((each) => each.devices)));
    if (lost.length === devices.size) {
      const message = `none of the placement’s ${devices.size} devices serves anything (${lost[0]?.device}: ${lost[0]?.because}): run this where the servers can be reached, with the deployment’s MILLRACE_MODELS and MILLRACE_TASK_QUEUE`;
      throw new MillraceError('BACKEND_UNAVAILABLE', message);
    }
    return { services, lost };
  } finally {
    for (const { backend } of placed) backend.close();
  }
}

/** Every endpoint of the placement's replicas in the models file. */
function placedOf({ placement, models, connectors }: ServersOptions): readonly Placed[] {
  return calledPools(placement).flatMap(({ model, replicas }) => {
    const pool = models[model];
    const connector = pool && connectors.get(pool.connector);
    if (pool === undefined || connector === undefined) {
      const message = pool
        ? `no connector is named "${pool.connector}"`
        : `has no pool "${model}", which the placement has`;
      throw new MillraceError('INVALID_SETTING', `MILLRACE_MODELS: ${message}`, {
        fields: [{ field: 'MILLRACE_MODELS', message }],
      });
    }
    const devices = new Set(replicas.map(({ devices: [first = ''] }) => first));
    return pool.endpoints.flatMap((endpoint) =>
      devices.has(endpoint.device)
        ? [{ model, device: endpoint.device, pool, backend: connectTo(connector, endpoint, pool) }]
        : [],
    );
  });
}

/** That a pool has no endpoint, as the start of a sentence. */
export const noEndpoint = (models: ModelsConfig, model: string): string =>
  `${models[model]?.discover === undefined ? 'the models file has' : 'discover finds'} no endpoint of ${model}`;

/** The replicas that calls show to work. Of a model served apart a router does, at the first: what is behind it does not show. */
export const seen = ({ apart, replicas }: PlacedPool): PlacedPool['replicas'] =>
  apart ? replicas.slice(0, 1) : replicas;

async function countsOf(placed: readonly Placed[], signal: AbortSignal) {
  const counts = new Map<Placed, ServerWork>();
  await Promise.all(
    placed.map(async (each) => {
      const { backend, pool } = each;
      try {
        const work = await limited(ANSWER_MS.count, signal, async (own) => backend.work?.(pool.model, own));
        if (work) counts.set(each, work);
      } catch {
        // Whether it works is tested by the canary.
      }
    }),
  );
  return counts;
}

function servicesOf(
  placed: readonly Placed[],
  before: ReadonlyMap<Placed, ServerWork>,
  after: ReadonlyMap<Placed, ServerWork>,
): Measured['services'] {
  const sums = new Map<string, { calls: number; ms: number }>();
  for (const each of placed) {
    const from = before.get(each);
    const to = after.get(each);
    // The counter has decreased: the server was restarted.
    if (!from || !to || to.requests <= from.requests) continue;
    const { calls, ms } = sums.get(each.model) ?? { calls: 0, ms: 0 };
    sums.set(each.model, {
      calls: calls + to.requests - from.requests,
      ms: ms + to.computeMs - from.computeMs,
    });
  }
  return Object.fromEntries([...sums].map(([model, { calls, ms }]) => [model, { calls, meanMs: ms / calls }]));
}

async function lostOf(options: ServersOptions, placed: readonly Placed[]): Promise<readonly LostDevice[]> {
  const { placement } = options;
  const firsts = new Map<string, { readonly all: readonly string[]; readonly models: string[] }>();
  for (const pool of calledPools(placement)) {
    const { model } = pool;
    for (const { devices } of seen(pool)) {
      const [first = ''] = devices;
      const known = firsts.get(first) ?? { all: devices, models: [] };
      firsts.set(first, { all: devices, models: [...known.models, model] });
    }
  }
  const found = await Promise.all(
    [...firsts].map(async ([first, { all, models }]) => {
      const because = await lossOf(options, placed, first, models);
      return because === undefined ? [] : all.map((device) => ({ device, because }));
    }),
  );
  return found.flat();
}

/** Why a device does not serve some model; undefined if it serves all of them. */
async function lossOf(
  { models: pools, connection, namespace, taskQueue, signal }: ServersOptions,
  placed: readonly Placed[],
  device: string,
  models: readonly string[],
): Promise<string | undefined> {
  const queue = deviceQueue(taskQueue, device);
  const [workers, ...answers] = await Promise.all([
    pollersOf(connection, namespace, queue, 'stages'),
    ...models.map(async (model) => {
      const own = placed.filter((each) => each.device === device && each.model === model);
      if (own.length === 0) return `${noEndpoint(pools, model)} there`;
      const failures = await Promise.all(own.map((each) => failureOf(each, WORKS, signal)));
      return failures.every((failure) => failure !== undefined) ? failures[0] : undefined;
    }),
  ]);
  const silent = answers.find((answer) => answer !== undefined);
  if (silent !== undefined) return silent;
  return workers.length === 0 ? `no worker serves its queue ${queue}` : undefined;
}

/**
 * Why an endpoint does not serve a model; undefined if it does. A server that loads the model when it is called does without it now.
 *
 * @param passing codes of a failed canary that are no failure
 */
export async function failureOf(
  { backend, pool, model }: Placed,
  passing: ReadonlySet<ErrorCode>,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await limited(ANSWER_MS.canary, signal, (own) => backend.probe(pool.model, pool.kind, own));
    return undefined;
  } catch (error) {
    const code = error instanceof MillraceError ? error.code : 'BACKEND_TIMEOUT';
    if (passing.has(code) || (pool.load && code === 'MODEL_NOT_FOUND')) return undefined;
    return `${model} at ${backend.endpoint} answers no canary: ${code}: ${messageOf(error)}`;
  }
}
