import type { Readable } from 'node:stream';

/** Bytes of bodies that are read in one turn: some tenths of a millisecond of copying, in which nobody else is served. */
const A_TURN = 1024 * 1024;
/** From one turn to the next, in milliseconds: what is read takes less than half of it, so that the others go on meanwhile. */
const EVERY_MS = 2;
/** Bodies that go on in each turn. Each may bring what its connection had read already, some 64 KiB. */
const GO_ON = 16;

/**
 * Lets large bodies take turns, at 500 MiB a second all together. Node reads up to 2 MiB of each connection that has bytes before it
 * looks at the next event: with a hundred uploads at once everybody else would wait for tenths of a second.
 */
export class ReadPacer {
  readonly #waiting: Readable[] = [];
  #read = 0;
  #turn: NodeJS.Timeout | undefined;

  /** Counts bytes that a body has just brought; it is paused where this turn has had enough, and goes on in a later one. */
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

/** Of this process: its event loop is what all bodies share. */
export const readPacer = new ReadPacer();
