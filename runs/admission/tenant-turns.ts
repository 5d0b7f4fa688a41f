import type { Client } from '@temporalio/client';
import { messageOf } from '../../pipelines/errors.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { type RateCounter, rateCounter } from '../../stores/rates/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import { runningQuery } from '../list/visibility-query.js';
import type { Turns } from './queue-stats.js';

/** Age at which a count is made again, in milliseconds. */
const FRESH_MS = 2_000;
/** Counts that a gateway asks of Temporal's visibility: of ten questions in a second of all gateways (`frontend.namespaceRPS.visibility`). */
const RATE = { perSecond: 4, burst: 4 } as const;
/** Timeout of a count, in milliseconds: a start waits for it. */
const DEADLINE_MS = 500;
/** A tenant that has started a run within this time, in milliseconds, is taken to have tasks in the queues. */
const SEEN_MS = 60_000;
/** Most tenants that are remembered. */
const MOST_TENANTS = 1_000;

/** The number of running runs of a task queue, of one tenant or of all, by Temporal's visibility. */
export const runningRuns = async (temporal: Client, taskQueue: string, tenant?: string): Promise<number> => {
  const query = runningQuery({ taskQueue, tenant });
  const { count } = await temporal.withDeadline(Date.now() + DEADLINE_MS, () => temporal.workflow.count(query));
  return count;
};

/**
 * Which part of the queues is a tenant's. Temporal does not tell it, so it is estimated from the tenant's part of the running runs: their
 * number is asked only when the whole queue would be too long, and not more than a few times a second.
 */
export class TenantTurns {
  readonly #count: (tenant?: string) => Promise<number>;
  readonly #now: () => number;
  readonly #rate: RateCounter = rateCounter('turns', RATE, undefined);
  readonly #warnings: RationedWarnings;
  /** When each tenant was last seen, the last one at the end. */
  readonly #seen = new Map<string, number>();
  /** Counts by tenant, with when they were asked for; '' for all tenants. */
  readonly #counts = new Map<string, { readonly at: number; readonly count: Promise<number> }>();

  /** @param count the running runs of one tenant, or of all */
  constructor(count: (tenant?: string) => Promise<number>, logger: Logger, now = () => performance.now()) {
    this.#count = count;
    this.#warnings = new RationedWarnings(logger);
    this.#now = now;
  }

  /** A tenant starts a run. */
  note(tenant: string): void {
    keep(this.#seen, tenant, this.#now());
  }

  /** Undefined if it is not known. */
  async of(tenant: string): Promise<Turns | undefined> {
    try {
      const [own, all] = await Promise.all([this.#running(tenant), this.#running()]);
      const since = this.#now() - SEEN_MS;
      const others = [...this.#seen].filter(([name, at]) => name !== tenant && at >= since).length;
      return { share: all === 0 ? 0 : Math.min(1, own / all), others: Math.max(1, others) };
    } catch (error) {
      this.#warnings.warn('turns', { error: messageOf(error) }, 'tenants’ runs are not counted: whole queues count');
      return undefined;
    }
  }

  #running(tenant?: string): Promise<number> {
    const known = this.#counts.get(tenant ?? '');
    if (known && this.#now() - known.at < FRESH_MS) return known.count;
    const count = this.#asked(tenant);
    keep(this.#counts, tenant ?? '', { at: this.#now(), count });
    return count;
  }

  async #asked(tenant?: string): Promise<number> {
    await this.#rate.consume('').catch(() => {
      throw new Error('too many tenants are counted at once');
    });
    return await this.#count(tenant);
  }
}

/** Puts an entry at the end; the oldest ones go if there are too many. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  keepNewest(map, MOST_TENANTS);
}
