import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../pipelines/errors.js';
import { TenantSlots } from '../runtime/tenant-slots.js';
import type { RunList } from './list/run-list.js';

/** Histories, or pages of them, that an erasure reads for one turn. */
const HISTORIES = 20;
/** Longest wait for one turn, in milliseconds. */
const MOST_WAIT_MS = 10_000;
/** When an erasure that another one is in the way of may be asked for again, in milliseconds. */
const AGAIN_MS = 2_000;

/** Erasures that take more than one turn: a tenant may have one of them at a time in each gateway. */
const longOnes = new WeakMap<RunList, TenantSlots>();

/**
 * The pace at which one erasure looks for what belongs to its run, within the rate at which its tenant may list runs. A run may have started
 * thousands of others: one request would otherwise cost Temporal as many questions as it answers in a minute.
 */
export class SearchPace {
  readonly #list: RunList;
  readonly #tenant: string;
  readonly #gone: AbortSignal;
  #histories = 0;
  #leave: (() => void) | undefined;

  /** @param gone aborts when nobody waits for the erasure any more */
  constructor(list: RunList, tenant: string, gone: AbortSignal) {
    this.#list = list;
    this.#tenant = tenant;
    this.#gone = gone;
  }

  /** Resolves when a history, or the next page of one, may be read: the first twenty at once. Throws as `turn` does. */
  async history(): Promise<void> {
    this.#histories += 1;
    if (this.#histories > HISTORIES && this.#histories % HISTORIES === 1) await this.turn();
  }

  /**
   * Waits for a turn beside the first one, which the erasure has had. Throws `RATE_LIMITED` if another erasure of the tenant takes several turns, or
   * this one has waited for ten seconds, and `REQUEST_ABORTED` if the client has left.
   */
  async turn(): Promise<void> {
    this.#leave ??= this.#place();
    let waitedMs = 0;
    for (;;) {
      if (this.#gone.aborted)
        throw new MillraceError('REQUEST_ABORTED', 'the client left before anything of the run was erased');
      try {
        return await this.#list.turn?.(this.#tenant);
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'RATE_LIMITED') throw error;
        const waitMs = Math.max(1, error.details.retryAfterMs ?? AGAIN_MS);
        waitedMs += waitMs;
        // Not at once: asked for again, the erasure would begin anew.
        if (waitedMs > MOST_WAIT_MS) throw error;
        await sleep(waitMs, undefined, { signal: this.#gone }).catch(() => undefined);
      }
    }
  }

  /** The search is over. */
  end(): void {
    this.#leave?.();
    this.#leave = undefined;
  }

  #place(): () => void {
    const slots = longOnes.get(this.#list) ?? new TenantSlots(Number.POSITIVE_INFINITY, 1);
    longOnes.set(this.#list, slots);
    const leave = slots.take(this.#tenant);
    if (leave !== undefined) return leave;
    const message = 'another run of the tenant is being erased that has started many others';
    throw new MillraceError('RATE_LIMITED', message, { retryAfterMs: AGAIN_MS });
  }
}
