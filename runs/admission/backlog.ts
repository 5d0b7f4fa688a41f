import { messageOf } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import { expectedWaitMs, type Queue, type QueueStats, type Turns } from './queue-stats.js';

/** Shortest interval between two requests for a queue's statistics, in milliseconds. Temporal updates them every five seconds. */
const FRESH_MS = 1_000;
/** Older statistics are ignored, in milliseconds: a gateway that was idle requests new ones before it decides. */
const STALE_MS = 10_000;

interface Known {
  readonly stats: QueueStats;
  readonly at: number;
}

/** How long tasks wait in Temporal's queues. Refreshed in the background while runs arrive often enough. */
export class Backlog {
  readonly #query: (queue: Queue) => Promise<QueueStats>;
  readonly #warnings: RationedWarnings;
  readonly #known = new Map<string, Known>();
  readonly #queries = new Map<string, Promise<void>>();
  readonly #now: () => number;

  constructor(query: (queue: Queue) => Promise<QueueStats>, logger: Logger, now = () => performance.now()) {
    this.#query = query;
    this.#warnings = new RationedWarnings(logger);
    this.#now = now;
  }

  /** Expected wait of a task of this priority, in milliseconds; 0 if unknown. @param turns of its tenant; absent: the whole queue counts */
  async waitMs(queue: Queue, priority: number, turns?: Turns): Promise<number> {
    const name = `${queue.type} ${queue.name}${queue.standIn ? ' instead' : ''}`;
    if (this.#age(name) > FRESH_MS) {
      const refreshed = this.#refresh(name, queue);
      if (this.#age(name) > STALE_MS) await refreshed;
    }
    const known = this.#known.get(name);
    return known === undefined || this.#age(name) > STALE_MS ? 0 : expectedWaitMs(known.stats, priority, turns);
  }

  #age(name: string): number {
    return this.#now() - (this.#known.get(name)?.at ?? Number.NEGATIVE_INFINITY);
  }

  #refresh(name: string, queue: Queue): Promise<void> {
    const query =
      this.#queries.get(name) ??
      this.#query(queue)
        .then(
          (stats) => void this.#known.set(name, { stats, at: this.#now() }),
          (error) =>
            this.#warnings.warn('stats', { error: messageOf(error) }, 'queues cannot be measured: no run is shed'),
        )
        .finally(() => this.#queries.delete(name));
    this.#queries.set(name, query);
    return query;
  }
}
