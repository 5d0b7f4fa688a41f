import type { Redis } from 'ioredis';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { ageOf, type Moment } from '../../runtime/moment.js';
import { addGaps, recordKey } from './record-hash.js';

/**
 * Runs whose gaps wait for the state store to answer again; beyond that the oldest are dropped, whose runs ended long
 * ago.
 */
const MOST_GAPS = 10_000;
/** Of these, as many as are written at once. */
const GAPS_AT_ONCE = 100;

/** Calls of a run that could not be recorded. */
interface Gaps {
  readonly count: number;
  /** When the latest of them began. */
  readonly begunAt: Moment;
  /** How long their number is kept, in milliseconds. */
  readonly keptMs: number;
}

/** Counts calls that could not be recorded. While the store does not answer, their number waits here. */
export class UncountedGaps {
  readonly #redis: Redis;
  readonly #gaps = new Map<string, Gaps>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** The calls of a run that wait to be counted; the caller counts them. */
  taken(root: string): number {
    const gaps = this.#gaps.get(root)?.count ?? 0;
    this.#gaps.delete(root);
    return gaps;
  }

  /** Counts calls that could not be recorded, now or when the store answers again. Never rejects. */
  async count(root: string, { count, keptMs, begunAt }: Gaps): Promise<void> {
    const all = count + this.taken(root);
    await addGaps(this.#redis, [recordKey(root)], all, keptMs, ageOf(begunAt)).catch(() =>
      this.remember(root, { count: all, keptMs, begunAt }),
    );
  }

  /** The store answers: what other runs lack can be counted too. Not awaited. */
  countOthers(): void {
    for (const [root, gaps] of [...this.#gaps].slice(0, GAPS_AT_ONCE)) {
      this.#gaps.delete(root);
      void this.count(root, gaps);
    }
  }

  remember(root: string, { count, keptMs, begunAt }: Gaps): void {
    this.#gaps.set(root, { count: (this.#gaps.get(root)?.count ?? 0) + count, keptMs, begunAt });
    keepNewest(this.#gaps, MOST_GAPS);
  }
}
