import type { Readable } from 'node:stream';
import { TenantQueue } from '../../runtime/tenant-queue.js';

/** Bytes at the beginning of a body that are read at once: small bodies never wait for large ones. */
const AT_ONCE = 128 * 1024;

/** How bodies are read in turns of the event loop. */
interface Pace {
  /** Longest time of a turn, in milliseconds: a request that needs ten turns of the loop is delayed by ten times as much. */
  readonly turnMs: number;
  /** The rest after a turn, in its length. */
  readonly rests: number;
}
const ALONE: Pace = { turnMs: 2, rests: 1 };
const AMONG_OTHERS: Pace = { turnMs: 0.4, rests: 3 };
/** How long a tenant counts after a request, in milliseconds. */
const ACTIVE_MS = 1_000;

/** Most bytes of a turn, however fast. */
const TURN_BYTES = 1024 * 1024;
/** Bodies that are resumed at a time, of different tenants. Each delivers at least what Node has buffered of it. */
const GO_ON = 4;
/** Time to read one piece, some 64 KiB, in milliseconds: the first estimate, and the most that is believed of a busy loop. */
const PIECE_MS = { first: 0.1, most: 2 };
/** Weight of a new measurement of it. */
const LATEST = 0.2;

/** One in progress. */
interface Turn {
  readonly began: number;
  pace: Pace;
  pieces: number;
  bytes: number;
  /** When the last piece was read. */
  last: number;
}

/** Of a body that is being read. */
interface Reading {
  readonly tenant: string;
  /** Bytes that have arrived so far. */
  readonly size: number;
}

/** When a tenant last sent a request. */
interface Seen {
  readonly tenant: string | undefined;
  readonly at: number;
}
const NEVER: Seen = { tenant: undefined, at: Number.NEGATIVE_INFINITY };

/**
 * Schedules the reading of large bodies: half of the time of the event loop, and a quarter of it while other tenants send requests. Node
 * reads up to 2 MiB of each readable connection before the next event, which takes milliseconds: a tenant that uploads without a pause would
 * have the whole process. Tenants take turns, and each has one body read at a time.
 */
export class ReadPacer {
  readonly #now: () => number;
  /** Paused bodies. */
  readonly #waiting = new TenantQueue<Readable>(({ destroyed }) => destroyed);
  #latest = NEVER;
  /** The latest one of another tenant. */
  #other = NEVER;
  #turn: Turn | undefined;
  #pieceMs = PIECE_MS.first;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A tenant has sent a request. */
  seen(tenant: string): void {
    if (tenant !== this.#latest.tenant) this.#other = this.#latest;
    this.#latest = { tenant, at: this.#now() };
  }

  /** Counts bytes that a body has delivered, and pauses it until a later turn if this one is over. */
  came(body: Readable, bytes: number, { tenant, size }: Reading): void {
    if (size <= AT_ONCE || body.isPaused()) return;
    const now = this.#now();
    const pace = this.#isAlone(tenant, now) ? ALONE : AMONG_OTHERS;
    this.#turn ??= this.#begin(now, pace);
    const turn = this.#turn;
    if (pace === AMONG_OTHERS) turn.pace = pace;
    turn.pieces += 1;
    turn.bytes += bytes;
    turn.last = now;
    if (now >= this.#restsUntil && now - turn.began < turn.pace.turnMs && turn.bytes <= TURN_BYTES) return;
    body.pause();
    this.#waiting.push(tenant, body);
  }

  #isAlone(tenant: string, now: number): boolean {
    const other = this.#latest.tenant === tenant ? this.#other : this.#latest;
    return other.tenant === undefined || now - other.at > ACTIVE_MS;
  }

  /** The turn ends when the loop has handled all events that were there. */
  #begin(now: number, pace: Pace): Turn {
    setImmediate(() => this.#end());
    return { began: now, pace, pieces: 0, bytes: 0, last: now };
  }

  #end(): void {
    const turn = this.#turn;
    this.#turn = undefined;
    if (!turn) return;
    // The first piece was read before the turn’s time is counted. The loop may have done something else between two others.
    const counted = turn.pieces - 1;
    const between = Math.min(turn.last - turn.began, counted * PIECE_MS.most);
    if (counted > 0) this.#pieceMs += LATEST * (between / counted - this.#pieceMs);
    this.#restsUntil = this.#now() + (between + this.#pieceMs) * turn.pace.rests;
    this.#await();
  }

  #await(): void {
    if (this.#waiting.isEmpty) return;
    this.#timer ??= setTimeout(() => this.#next(), Math.max(1, this.#restsUntil - this.#now()));
  }

  #next(): void {
    this.#timer = undefined;
    if (this.#now() >= this.#restsUntil) for (const body of this.#waiting.shiftEach(GO_ON)) body.resume();
    this.#await();
  }
}

/** One per process: all bodies share its event loop. */
export const readPacer = new ReadPacer();
