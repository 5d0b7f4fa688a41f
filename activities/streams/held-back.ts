import type { Clock } from '../../runtime/clock.js';
import type { ChannelLog, ChannelName } from '../../stores/channels/index.js';
import type { HeldSlot } from '../stage/held-slot.js';

/** Pieces that a voice is ahead of the slowest step that reads them, at most: some minutes of audio. */
export const MOST_AHEAD = 32;

/** Entries of a channel that a reader takes at once: it says that it has passed them when it has passed all of these. */
export const atOnce = (of: string): { readonly most?: number } => (of === 'chunks' ? { most: 8 } : {});

/** How long a reader that does not go on holds a voice back, in milliseconds: it may be gone. */
const LONGEST_HOLD_MS = 60_000;

/** Share of its attempt's time that readers hold a voice back at most: what is left is for speaking. */
const SHARE_OF_TIME = 0.5;

/** Between two looks at how far the readers are, in milliseconds. */
const LOOK_MS = 200;

interface Parts {
  readonly log: ChannelLog;
  /** The voice's channel. */
  readonly name: ChannelName;
  readonly attempt: {
    readonly signal: AbortSignal;
    readonly slot?: Pick<HeldSlot, 'leave' | 'take'>;
    /** On the clock of `performance.now()`. Absent: unknown. */
    readonly endsAt?: number;
  };
  readonly clock: Clock;
}

/** Holds a voice back while those that read its pieces lag behind. */
export class HeldBack {
  readonly #parts: Parts;
  /** When no reader is waited for any more, on the clock: an attempt that only waits would end as `STAGE_TIMEOUT`. */
  readonly #until: number;
  /** Where the slowest reader was when it was waited for in vain. */
  #stuckAt: number | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { endsAt = Number.POSITIVE_INFINITY } = parts.attempt;
    this.#until = parts.clock.now() + (endsAt - performance.now()) * SHARE_OF_TIME;
  }

  /**
   * Resolves when all readers have passed all but `MOST_AHEAD` of `count` entries. A reader that does not go on is waited for once, for a
   * minute, and one that has not said how far it is not at all. In the second half of the attempt's time none is waited for. The slot of
   * the attempt is free meanwhile: a reader may need it. Rejects with the signal's reason.
   */
  async untilRead(count: number): Promise<void> {
    const { attempt, clock } = this.#parts;
    const { signal, slot } = attempt;
    let last: number | undefined;
    let since = clock.now();
    try {
      for (let at = await this.#behind(count); at !== undefined; at = await this.#behind(count)) {
        if (at !== last) since = clock.now();
        else if (clock.now() - since > LONGEST_HOLD_MS) this.#stuckAt = at;
        last = at;
        slot?.leave();
        await clock.sleep(LOOK_MS, signal);
      }
    } finally {
      await slot?.take(signal);
    }
  }

  /** Where the slowest reader is, if the voice has to wait for it. */
  async #behind(count: number): Promise<number | undefined> {
    const { log, name, clock } = this.#parts;
    if (count < MOST_AHEAD || clock.now() >= this.#until) return undefined;
    const at = await log.needed(name, name.path).catch(() => undefined);
    return at === undefined || at === this.#stuckAt || count - at < MOST_AHEAD ? undefined : at;
  }
}
