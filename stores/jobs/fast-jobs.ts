import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Segment } from '../../pipelines/run/index.js';
import { guardedKey, releaseRecord, revokeRecord } from '../journal/index.js';
import { script } from '../redis/index.js';

/** A run that a fast host is to run, beside the workflow that guards it. */
export interface FastJob {
  /** The run's id. */
  readonly id: string;
  /** All of the run, with `guarded` and `answer`. */
  readonly segment: Segment;
  /** When it was handed out, in milliseconds since 1970. */
  readonly at: number;
}

/**
 * How long jobs stay that nobody takes, in milliseconds: their guardians begin long before. Whoever handed one out takes it
 * back soon if nobody takes it; this is for those whose gateway has died.
 */
const KEPT_MS = 10_000;

/**
 * A job as old as this by the worker's clock is not begun, in milliseconds. Its guardian has run it, and the journal that
 * would say so is kept longer; clocks may differ by the rest.
 */
const STALE_MS = 60_000;

/** How long a worker waits for a job at one go, in milliseconds. */
const WAIT_MS = 1_000;
/** Pause when Redis does not answer, in milliseconds. */
const PAUSE_MS = 250;

const put = script<[list: string], [job: string, keptMs: number], void>(`
redis.call('lpush', KEYS[1], ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])`);

const listOf = (queue: string): string => `millrace:fast:${queue}`;

/** The gateway's side: hands jobs to whichever worker is first to take one. */
export class FastJobs {
  readonly #redis: Redis;
  readonly #list: string;

  /** @param queue the task queue of the workflows: its workers take the jobs */
  constructor(redis: Redis, queue: string) {
    this.#redis = redis;
    this.#list = listOf(queue);
  }

  /**
   * The job as it lies in Redis, where it may lie there: a worker may have it though Redis has not answered. Undefined where it
   * was not sent.
   */
  async put(job: FastJob): Promise<string | undefined> {
    if (this.#redis.status !== 'ready') return undefined;
    const text = JSON.stringify(job);
    await put(this.#redis, [this.#list], text, KEPT_MS).catch(() => undefined);
    return text;
  }

  /** Whether nobody had taken it; nobody will. */
  async takeBack(put: string): Promise<boolean> {
    return (await this.#redis.lrem(this.#list, 1, put)) > 0;
  }

  /** The run has not started: whoever has taken the job ends it. */
  async revoke({ id, segment }: FastJob, put: string): Promise<void> {
    if (!(await this.takeBack(put))) await revokeRecord(this.#redis, guardedKey(id, segment.guarded ?? ''));
  }

  /** Temporal has the outcome. */
  async done({ id, segment }: FastJob): Promise<void> {
    await releaseRecord(this.#redis, guardedKey(id, segment.guarded ?? ''));
  }
}

/** A worker's side: one connection that waits for jobs. */
export class FastJobQueue {
  /** Longest that a command waits, in milliseconds: what the timeout of the connection's commands must exceed. */
  static readonly WAIT_MS = WAIT_MS;

  readonly #redis: Redis;
  readonly #list: string;
  #closed = false;

  /** @param blocking a connection for this purpose alone, whose commands may take more than `WAIT_MS` */
  constructor(blocking: Redis, queue: string) {
    this.#redis = blocking;
    this.#list = listOf(queue);
  }

  /** The next job; undefined when none has come for a while. */
  async take(): Promise<FastJob | undefined> {
    try {
      const [, text] = (await this.#redis.brpop(this.#list, WAIT_MS / 1_000)) ?? [];
      const job = text === undefined ? undefined : (JSON.parse(text) as FastJob);
      return job && Date.now() - job.at < STALE_MS ? job : undefined;
    } catch {
      if (!this.#closed) await sleep(PAUSE_MS);
      return undefined;
    }
  }

  /** Takes no more. A job that Redis gives at this moment is lost to its guardian. */
  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }
}
