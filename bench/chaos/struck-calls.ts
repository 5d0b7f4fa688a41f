import type { Seeded } from './seeded.js';

/**
 * Effect of a fault on a call. `refuse`: the connection is reset before the whole request has passed; `cut`: in the
 * middle of the answer; `stall`: nothing passes for a while, then the connection is reset.
 */
export type Fault = { readonly kind: 'refuse' | 'cut' } | { readonly kind: 'stall'; readonly ms: number };

/** Shares of the kinds; stalls are rarer because each takes seconds. */
const REFUSED = 0.45;
const CUT = 0.45;
/** Below and above the twenty seconds after which an attempt of the suite's stages is aborted. */
const STALL_MS = { least: 2_000, most: 24_000 };

/**
 * Chooses the calls to strike, by a seed. A fault strikes all calls on its connection, so the share of struck calls is
 * kept constant: each call adds `rate` to a balance, and each struck call takes one off it.
 */
export class StruckCalls {
  /** Calls that arrived, and those struck by a fault. */
  seen = 0;
  struck = 0;
  readonly #rate: number;
  readonly #random: Seeded;
  #owed = 0;
  #threshold: number;

  constructor(rate: number, random: Seeded) {
    this.#rate = rate;
    this.#random = random;
    this.#threshold = this.#draw();
  }

  /**
   * A call has arrived; returns its fault, if any.
   * @param open calls on its connection, itself included: a fault waits until the balance covers them
   */
  next(open: number): Fault | undefined {
    this.seen += 1;
    this.#owed += this.#rate;
    if (this.#rate === 0 || this.#owed < this.#threshold * open) return undefined;
    this.#threshold = this.#draw();
    const kind = this.#random.next();
    if (kind < REFUSED) return { kind: 'refuse' };
    if (kind < REFUSED + CUT) return { kind: 'cut' };
    return { kind: 'stall', ms: Math.round(this.#random.between(STALL_MS.least, STALL_MS.most)) };
  }

  /** A fault has struck this many calls. */
  strike(calls: number): void {
    this.struck += calls;
    this.#owed -= calls;
  }

  /** On average the balance covers as many calls as a fault strikes. */
  #draw(): number {
    return this.#random.between(0.2, 1.8);
  }
}
