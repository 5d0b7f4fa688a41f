import type { ChannelName } from './channel.js';
import { lost } from './channel-writer.js';

/**
 * How long a channel that was there, or entries that were, may be missing, in milliseconds: a live writer stores them
 * again within a second of the store's return.
 */
export const GONE_MS = 15_000;

/**
 * How long a store that cannot be reached is waited for by the reader of a channel that was there, in milliseconds: one that restarts or
 * fails over is back by then. Afterwards the reader takes the collected list.
 */
const AWAY_MS = 60_000;

/** A store that was away for so long, in milliseconds, may have been given up by a producer that was about to begin: its stream never comes. */
const GIVEN_UP_MS = 1_000;

/** For how long a reader has missed the store, or entries of its channel. Both throw `STREAM_LOST` when it has waited long enough. */
export class Missing {
  readonly #name: ChannelName;
  #away: number | undefined;
  #gone: number | undefined;
  #givenUp = false;

  constructor(name: ChannelName) {
    this.#name = name;
  }

  /** The store cannot be reached. `seen`: the channel has been there. */
  store(seen: boolean): void {
    this.#gone = undefined;
    this.#away ??= performance.now();
    const ms = performance.now() - this.#away;
    this.#givenUp ||= ms >= GIVEN_UP_MS;
    if (ms > (seen ? AWAY_MS : GONE_MS)) throw lost(this.#name);
  }

  /** The store does not have them. Counts from its return: its writer stores them again then. */
  entries(seen: boolean): void {
    this.#away = undefined;
    this.#gone ??= performance.now();
    if ((seen || this.#givenUp) && performance.now() - this.#gone > GONE_MS) throw lost(this.#name);
  }

  none(): void {
    this.#away = undefined;
    this.#gone = undefined;
  }
}
