import type { Seeded } from './seeded.js';

/**
 * What happens to a call. `refuse`: the connection is reset before the whole request has passed; `cut`: in the middle of the
 * answer; `stall`: nothing passes any more for a while, then it is reset.
 */
export type Fault = { readonly kind: 'refuse' | 'cut' } | { readonly kind: 'stall'; readonly ms: number };

/** Shares of the kinds; a stall costs its calls seconds, so there are fewer of them. */
const REFUSED = 0.45;
const CUT = 0.45;
/** Below and above the twenty seconds after which an attempt of the suite's stages is given up. */
const STALL_MS = { least: 2_000, most: 24_000 };

/**
 * Which calls are struck, by a seed. A fault strikes all calls that share its connection, so what is kept is the share of
 * calls that were struck: each call adds `rate` to what is owed, and each struck call takes one off it.
 */
export class StruckCalls {
  /** Calls that have come, and those of them that a fault has struck. */
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
   * A call has come; the fault that it is to have, if any.
   * @param open calls that share its connection, itself included: a fault waits until that many are owed
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

  /** On average as many calls are owed as a fault strikes. */
  #draw(): number {
    return this.#random.between(0.2, 1.8);
  }
}
