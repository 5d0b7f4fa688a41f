import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Segment } from '../../pipelines/run/index.js';
import { guardedKey, releaseRecord, revokeRecord } from '../journal/index.js';
import { script } from '../redis/index.js';

/** A run for a fast host, guarded by its workflow. */
export interface FastJob {
  /** The run's id. */
  readonly id: string;
  /** The whole run as one segment, with `guarded` and `answer`. */
  readonly segment: Segment;
  /** When it was enqueued, in milliseconds since 1970. */
  readonly at: number;
}

/** A job as a worker gets it. */
export interface TakenJob extends FastJob {
  /** Another worker may have got it before. */
  readonly again?: true;
}

/**
 * Expiry of jobs that no worker takes, in milliseconds: their guardians start long before. A gateway takes back its own
 * job sooner; this removes those of a gateway that died.
 */
const KEPT_MS = 10_000;

/**
 * A job of this age, by the worker's clock, is left to its guardian, in milliseconds: it may have run it, and the journal
 * that records this is kept longer. The margin allows for clock differences.
 */
const STALE_MS = 60_000;

/** Longest wait of one blocking pop, in milliseconds. */
const WAIT_MS = 1_000;
/** Pause while Redis is unreachable, in milliseconds. */
const PAUSE_MS = 250;

/**
 * Tenants take turns: a job has the number of its turn as its score, by which it is taken. It is the one after the turn of the tenant's job
 * before it, but not one that is over: that of the first job in the queue (start-time fair queuing: Goyal, Vin and Cheng, IEEE/ACM
 * Transactions on Networking 5(5), 1997). An empty queue forgets the turns.
 */
const put = script<[jobs: string, turns: string], [job: string, tenant: string, keptMs: number], void>(`
local first = redis.call('zrange', KEYS[1], 0, 0, 'withscores')
if #first == 0 then redis.call('del', KEYS[2]) end
local turn = math.max(tonumber(first[2] or 0), tonumber(redis.call('hget', KEYS[2], ARGV[2]) or 0) + 1)
redis.call('zadd', KEYS[1], turn, ARGV[1])
redis.call('hset', KEYS[2], ARGV[2], turn)
redis.call('pexpire', KEYS[1], ARGV[3])
redis.call('pexpire', KEYS[2], ARGV[3])`);

/** A job that nobody has taken has not had its turn. 1 if it was in the queue. */
const takeBack = script<[jobs: string, turns: string], [job: string, tenant: string], 0 | 1>(`
local removed = redis.call('zrem', KEYS[1], ARGV[1])
if removed == 1 and redis.call('hexists', KEYS[2], ARGV[2]) == 1 then redis.call('hincrby', KEYS[2], ARGV[2], -1) end
return removed`);

/** The SHA-1 of each job in the queue: jobs may be large. */
const queued = script<[jobs: string], [], readonly string[]>(`
local digests = {}
for i, job in ipairs(redis.call('zrange', KEYS[1], 0, -1)) do digests[i] = redis.sha1hex(job) end
return digests`);

const digestOf = (text: string): string => createHash('sha1').update(text).digest('hex');

/** The jobs of a task queue, and the last turn of each tenant. */
const keysOf = (queue: string): [jobs: string, turns: string] => [
  `millrace:fast:{${queue}}`,
  `millrace:fast:{${queue}}:turns`,
];

const tenantOf = ({ segment }: FastJob): string => segment.context.tenant;

/** The gateway's side: enqueues jobs, which the first idle worker takes. */
export class FastJobs {
  readonly #redis: Redis;
  readonly #keys: [jobs: string, turns: string];

  /** @param queue task queue of the workflows; its workers take the jobs */
  constructor(redis: Redis, queue: string) {
    this.#redis = redis;
    this.#keys = keysOf(queue);
  }

  /**
   * Enqueues a job. Returns it as stored, also when Redis has not answered, since a worker may have it; undefined if it
   * was not sent.
   */
  async put(job: FastJob): Promise<string | undefined> {
    if (this.#redis.status !== 'ready') return undefined;
    const text = JSON.stringify(job);
    await put(this.#redis, this.#keys, text, tenantOf(job), KEPT_MS).catch(() => undefined);
    return text;
  }

  /** Removes a job from the queue. True if no worker had taken it. */
  async takeBack(job: FastJob, put: string): Promise<boolean> {
    return (await takeBack(this.#redis, this.#keys, put, tenantOf(job))) === 1;
  }

  /** Revokes a job whose run has not started: the worker that has taken it ends it. */
  async revoke(job: FastJob, put: string): Promise<void> {
    const { id, segment } = job;
    if (!(await this.takeBack(job, put))) await revokeRecord(this.#redis, guardedKey(id, segment.guarded ?? ''));
  }

  /** Shortens the journal's expiry after the outcome has reached Temporal. */
  async done({ id, segment }: FastJob): Promise<void> {
    await releaseRecord(this.#redis, guardedKey(id, segment.guarded ?? ''));
  }
}

/**
 * The worker's side: one connection that waits for jobs. A store that fails over without its last second has jobs again that were taken, and
 * their journals may be lost with it. So what lies in the queue when a connection is made counts as taken before.
 */
export class FastJobQueue {
  /** Longest wait of a command, in milliseconds; the connection's command timeout must be longer. */
  static readonly WAIT_MS = WAIT_MS;

  readonly #redis: Redis;
  readonly #jobs: string;
  /** Number of connections so far, and that of the one whose queue is known. */
  #connections = 0;
  #known: number | undefined;
  /** Digests of the jobs that lay in the queue when the connection was made. */
  #before = new Set<string>();
  #closed = false;

  /** @param blocking a connection for this purpose alone, whose commands may take longer than `WAIT_MS` */
  constructor(blocking: Redis, queue: string) {
    this.#redis = blocking;
    [this.#jobs] = keysOf(queue);
    blocking.on('ready', () => {
      this.#connections += 1;
    });
  }

  /** The next job; undefined if none has arrived within `WAIT_MS`. */
  async take(): Promise<TakenJob | undefined> {
    try {
      const connection = await this.#look();
      const [, text] = (await this.#redis.bzpopmin(this.#jobs, WAIT_MS / 1_000)) ?? [];
      if (text === undefined) {
        // The queue was empty: none is left of them.
        this.#before.clear();
        return undefined;
      }
      const job = JSON.parse(text) as FastJob;
      const lay = this.#before.size > 0 && this.#before.delete(digestOf(text));
      const again = lay || connection !== this.#connections || Date.now() - job.at >= STALE_MS;
      return again ? { ...job, again } : job;
    } catch {
      if (!this.#closed) await sleep(PAUSE_MS);
      return undefined;
    }
  }

  /** Looks at the queue once in each connection, and returns the number of the connection. */
  async #look(): Promise<number> {
    const connection = this.#connections;
    if (this.#known !== connection) {
      this.#before = new Set(await queued(this.#redis, [this.#jobs]));
      this.#known = connection;
    }
    return connection;
  }

  /** Stops taking jobs. A job that Redis delivers at this moment is left to its guardian. */
  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }
}
