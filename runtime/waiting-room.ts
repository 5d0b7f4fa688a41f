import { MillraceError } from '../pipelines/errors.js';

/** Most calls of a process, or attempts of a device's queue, that wait: each holds some memory, an attempt a heartbeat as well. */
const MOST = 1_000;

/** When an attempt that its worker has no room for is made again, in milliseconds. */
const AGAIN_MS = 5_000;

/**
 * Counts calls that wait. A tenant may have as many as are still free for all others: alone half of them, two tenants a third each. So there is
 * always one for a tenant that has none. The rule is that of dynamic thresholds (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
 * switches", IEEE/ACM Transactions on Networking 6(2), 1998, α = 1).
 */
export class WaitingRoom {
  readonly #most: number;
  readonly #ofTenant = new Map<string, number>();
  #all = 0;

  constructor(most = MOST) {
    this.#most = most;
  }

  /** Counts one more; false if the tenant may have no more. */
  begin(tenant: string): boolean {
    const own = this.#ofTenant.get(tenant) ?? 0;
    if (own >= this.#most - this.#all) return false;
    this.#ofTenant.set(tenant, own + 1);
    this.#all += 1;
    return true;
  }

  end(tenant: string): void {
    const own = this.#ofTenant.get(tenant) ?? 0;
    if (own === 0) return;
    if (own === 1) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, own - 1);
    this.#all -= 1;
  }
}

/**
 * Gives an attempt that has sent nothing back to its queue, without using it up: it would wait in a slot that others need. A stage whose
 * patience is over fails with it.
 */
export const tooManyWait = (what: string): MillraceError =>
  new MillraceError('OVERLOADED', `too many calls of this tenant wait in this process for ${what}`, {
    unsent: true,
    retryAfterMs: AGAIN_MS,
  });

/** The same of one that has waited as long as it may. */
export const waitedTooLong = (what: string, ms: number): MillraceError =>
  new MillraceError('OVERLOADED', `there was no ${what} within ${ms} ms`, { unsent: true, retryAfterMs: AGAIN_MS });
