import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { RunEvent } from '../../pipelines/plan/index.js';
import { eventOf, isPosition, START, streamOf } from './stream.js';

/** Longest that Redis holds a read open, in milliseconds. It must be below the command timeout of the connection. */
const BLOCK_MS = 2_000;
/** Pause before another try when Redis does not answer, in milliseconds. */
const PAUSE_MS = 250;
/** Most entries of one read: what one follower may hold in memory, some hundred kilobytes. */
const PAGE = 500;
/** How long the stream that wakes readers outlives its process, in milliseconds; above `BLOCK_MS`. */
const WAKE_KEPT_MS = 60_000;

export interface FollowedEvent {
  /** Its position: to follow from behind it. Positions of a run grow. */
  readonly id: string;
  readonly event: RunEvent;
}

interface Waiting {
  readonly after: string;
  readonly wake: () => void;
}

/**
 * Reads runs' events as they come. All followers of a process share one blocking read over the streams of their runs; a
 * stream of its own ends that read when another follower comes, so that none waits for it. A follower holds one page in
 * memory and reads the next when it has been taken: a slow client costs nothing but its own delay.
 */
export class RunEventReader {
  /** Longest that a read is held open, in milliseconds: what the timeout of `blocking`'s commands must exceed. */
  static readonly BLOCK_MS = BLOCK_MS;

  readonly #redis: Redis;
  readonly #blocking: Redis;
  readonly #wakeKey = streamOf(`@${randomUUID()}`);
  readonly #waiting = new Map<string, Set<Waiting>>();
  #watching = false;
  #closed = false;

  /** @param blocking a connection for this purpose alone, whose commands may take more than `BLOCK_MS` */
  constructor(redis: Redis, blocking: Redis) {
    this.#redis = redis;
    this.#blocking = blocking;
  }

  static readonly isPosition = isPosition;

  /** The events of a run behind a position, as they come, until `signal` aborts; then those that are there already. */
  async *follow(run: string, after: string | undefined, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    const key = streamOf(run);
    let at = after ?? START;
    for (;;) {
      const last = signal.aborted || this.#closed;
      const entries = await this.#redis.xrange(key, `(${at}`, '+', 'COUNT', PAGE).catch(() => undefined);
      for (const [id, fields] of entries ?? []) {
        at = id;
        yield { id, event: eventOf(fields) };
      }
      if (entries === undefined || entries.length === 0) {
        if (last) return;
        await (entries === undefined ? sleep(PAUSE_MS) : this.#more(key, at, signal));
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const all of this.#waiting.values()) for (const { wake } of all) wake();
  }

  /** Resolves when the stream has more, `signal` aborts, or at random. */
  #more(key: string, after: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const all = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, all);
      const waiting: Waiting = {
        after,
        wake: () => {
          all.delete(waiting);
          if (all.size === 0 && this.#waiting.get(key) === all) this.#waiting.delete(key);
          signal.removeEventListener('abort', waiting.wake);
          resolve();
        },
      };
      all.add(waiting);
      signal.addEventListener('abort', waiting.wake, { once: true });
      if (this.#watching) void this.#wake();
      else void this.#watch();
    });
  }

  /** Ends the read that is held open, so that the next one knows all followers. */
  async #wake(): Promise<void> {
    const adding = this.#redis.xadd(this.#wakeKey, 'MAXLEN', 1, '*', 'w', '');
    await Promise.all([adding, this.#redis.pexpire(this.#wakeKey, WAKE_KEPT_MS)]).catch(() => undefined);
  }

  async #watch(): Promise<void> {
    this.#watching = true;
    let woken = START;
    while (this.#waiting.size > 0 && !this.#closed) {
      const keys = [...this.#waiting.keys()];
      const positions = keys.map((key) => earliest(this.#waiting.get(key) as Set<Waiting>));
      try {
        const found = await this.#blocking.xread(
          'COUNT',
          1,
          'BLOCK',
          BLOCK_MS,
          'STREAMS',
          this.#wakeKey,
          ...keys,
          woken,
          ...positions,
        );
        for (const [key, entries] of found ?? []) {
          if (key === this.#wakeKey) woken = entries.at(-1)?.[0] ?? woken;
          else for (const { wake } of [...(this.#waiting.get(key) ?? [])]) wake();
        }
      } catch {
        await sleep(PAUSE_MS);
      }
    }
    this.#watching = false;
  }
}

/** The earliest position of a stream's followers. */
function earliest(all: Set<Waiting>): string {
  const [first, ...others] = [...all].map(({ after }) => after);
  return others.reduce((least, next) => (before(next, least) ? next : least), first ?? START);
}

function before(left: string, right: string): boolean {
  const [leftMs = 0n, leftNo = 0n] = left.split('-').map(BigInt);
  const [rightMs = 0n, rightNo = 0n] = right.split('-').map(BigInt);
  return leftMs === rightMs ? leftNo < rightNo : leftMs < rightMs;
}
