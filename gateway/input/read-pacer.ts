import type { Readable } from 'node:stream';

/** Bytes of bodies that are read per turn: a few tenths of a millisecond of copying, which blocks the event loop. */
const A_TURN = 1024 * 1024;
/**
 * Interval between turns, in milliseconds; reading takes less than half of it and leaves the rest to other requests.
 */
const EVERY_MS = 2;
/** Bodies that are resumed per turn. Each may deliver what its connection has buffered, some 64 KiB. */
const GO_ON = 16;

/**
 * Schedules the reading of large bodies, at 500 MiB/s in total. Node reads up to 2 MiB of each readable connection
 * before the next event: with a hundred concurrent uploads other requests would be delayed by tenths of a second.
 */
export class ReadPacer {
  readonly #waiting: Readable[] = [];
  #read = 0;
  #turn: NodeJS.Timeout | undefined;

  /** Counts bytes that a body has delivered, and pauses it until a later turn if this turn's limit is exceeded. */
  came(body: Readable, bytes: number): void {
    this.#read += bytes;
    this.#turn ??= setTimeout(() => this.#next(), EVERY_MS);
    if (this.#read <= A_TURN) return;
    body.pause();
    this.#waiting.push(body);
  }

  #next(): void {
    this.#turn = undefined;
    this.#read = 0;
    for (const body of this.#waiting.splice(0, GO_ON)) body.resume();
    if (this.#waiting.length > 0) this.#turn ??= setTimeout(() => this.#next(), EVERY_MS);
  }
}

/** One per process: all bodies share its event loop. */
export const readPacer = new ReadPacer();
