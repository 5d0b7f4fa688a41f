import { Context } from '@temporalio/activity';
import type { Connection } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { Gauge, type Registry } from 'prom-client';
import { MillraceError } from '../pipelines/errors.js';
import type { ServingCall } from '../pipelines/run/index.js';
import { codeName } from '../pipelines/stages/index.js';
import type { NamedCode } from '../pipelines/stages/kind.js';
import { codeQueues } from '../placement/queues.js';
import { limited } from '../runtime/limited.js';
import { pollersOf } from '../temporal/pollers.js';

/**
 * A run that waits for a version requests it at least this often, in milliseconds; versions without a request for
 * longer are not waited for.
 */
const REQUESTED_MS = 180_000;
/** Limit of versions that are recorded. */
const MOST_NAMES = 100;

const missingKey = (namespace: string, taskQueue: string): string => `millrace:code:missing:${namespace}:${taskQueue}`;

/** Dependencies of looking up queues. */
interface Queues {
  readonly connection: Pick<Connection, 'workflowService'>;
  readonly namespace: string;
}

/** Returns which of the queues of a function's version has a worker, and records the version as missing if none has. */
export function createServingActivity(redis: Redis) {
  return async ({ serving: { queues, code } }: ServingCall): Promise<string | null> => {
    const { client, info } = Context.current();
    const { connection, options } = client;
    const served = await firstServed({ connection, namespace: options.namespace }, queues);
    const key = missingKey(options.namespace, info.taskQueue);
    const noted = served === undefined ? redis.zadd(key, Date.now(), code) : redis.zrem(key, code);
    // Only for observers.
    await noted.then(() => redis.zremrangebyrank(key, 0, -MOST_NAMES - 1)).catch(() => undefined);
    return served ?? null;
  };
}

async function firstServed({ connection, namespace }: Queues, queues: readonly string[]): Promise<string | undefined> {
  for (const queue of queues) {
    if ((await pollersOf(connection, namespace, queue, 'stages')).length > 0) return queue;
  }
  return undefined;
}

/**
 * Versions of functions, such as `total@2`, that no worker has: of the given functions, and of those that runs wait for
 * according to Redis.
 */
export async function missingCode(
  at: Queues & { readonly taskQueue: string },
  functions: readonly NamedCode[],
  redis?: Redis,
): Promise<readonly string[]> {
  const waited = redis
    ?.zrangebyscore(missingKey(at.namespace, at.taskQueue), Date.now() - REQUESTED_MS, '+inf')
    .catch(() => []);
  // Functions of the same build share its queue.
  const queries = new Map<string, Promise<string | undefined>>();
  const own = functions.map(async ({ name, version }) => {
    if (version === undefined) return [];
    const queues = codeQueues(at.taskQueue, name, version);
    const known = queries.get(queues[0]) ?? firstServed(at, queues);
    queries.set(queues[0], known);
    return (await known) === undefined ? [codeName(name, version)] : [];
  });
  const [named = [], found] = await Promise.all([waited, Promise.all(own)]);
  return [...new Set([...named, ...found.flat()])].sort();
}

/** Shortest interval between two lookups in Temporal and Redis, in milliseconds. */
const FRESH_MS = 2_000;
/** Longest time of a lookup, in milliseconds. */
const LOOKUP_MS = 5_000;
/**
 * How long a scrape waits for a lookup, in milliseconds. Prometheus gives up the whole scrape after ten seconds, and while Temporal is
 * away the other metrics are needed most.
 */
const SCRAPE_MS = 1_000;

/** Missing versions, for `/readyz` and Prometheus. */
export class CodeWatch {
  readonly #query: (signal: AbortSignal) => Promise<readonly string[]>;
  #latest: { readonly missing: Promise<readonly string[]>; endedAt: number } | undefined;

  /** @param query its signal aborts when its result is of no use any more */
  constructor(query: (signal: AbortSignal) => Promise<readonly string[]>, registry: Registry) {
    this.#query = query;
    const missing = () => this.#missing();
    new Gauge({
      name: 'millrace_code_missing',
      help: 'Versions of functions that runs need and no worker has',
      labelNames: ['code'] as const,
      registers: [registry],
      async collect() {
        // Without an answer the last one stays.
        const names = await limited(SCRAPE_MS, NEVER, missing).catch(() => undefined);
        if (names === undefined) return;
        this.reset();
        for (const code of names) this.set({ code }, 1);
      },
    });
  }

  /** Throws `CODE_NOT_FOUND` with the versions that no worker has. */
  async check(): Promise<void> {
    const missing = await this.#missing();
    if (missing.length > 0) throw new MillraceError('CODE_NOT_FOUND', `no worker has code ${missing.join(', ')}`);
  }

  #missing(): Promise<readonly string[]> {
    if (this.#latest && performance.now() - this.#latest.endedAt < FRESH_MS) return this.#latest.missing;
    const missing = limited(LOOKUP_MS, NEVER, this.#query);
    // One that is under way is everybody's: while Temporal is away they would pile up.
    const latest = { missing, endedAt: Number.POSITIVE_INFINITY };
    const ended = () => {
      latest.endedAt = performance.now();
    };
    void missing.then(ended, ended);
    this.#latest = latest;
    return missing;
  }
}

const NEVER = new AbortController().signal;
