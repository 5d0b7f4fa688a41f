import type { Client } from '@temporalio/client';
import { bytesIn } from '../pipelines/bytes-in.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import { keepNewest } from '../pipelines/keep-newest.js';
import { FairSlots } from '../runtime/fair-slots.js';
import { timeLimit } from '../runtime/limited.js';
import { waitedTooLong } from '../runtime/waiting-room.js';
import type { Caller } from './caller.js';
import type { RunDocument } from './document.js';
import type { EndingRun } from './outcome.js';
import { type RunReading, type RunRecord, readRun } from './read.js';
import { clientLeft, MOST_WAIT_MS, ReadPace, SMALL_BYTES } from './read-pace.js';
import { readTogether } from './read-together.js';

/** What is read of the runs of one tenant, in bytes for each millisecond: to read it and to make a text of it takes a seventh of the time. */
const BYTES_PER_MS = 8_000;
/** Runs, and notes of runs, that are remembered, the latest ones. */
const MOST_KNOWN = 20_000;
/** Runs of unknown size that are read for one tenant at once, and as many for its decisions and cancellations. */
const AT_ONCE = 8;
/** A tenant waits for its own readings only. */
const places = () => new FairSlots(Number.POSITIVE_INFINITY, AT_ONCE);

/** A run as it was when it was last read. */
interface Known {
  readonly bytes: number;
  readonly running: boolean;
}

/** A run that has been read: its document, or a part of it. */
type Sized = Pick<RunDocument, 'status' | 'input'>;

/** A reading of a run by a caller that may see it. */
interface Reading {
  /**
   * Waits for its turn, and for a place while it is not known how large the run is. Throws `RATE_LIMITED` if too much is read of the tenant's large
   * runs, `OVERLOADED` if its earlier readings take too long, and `REQUEST_ABORTED` if `signal` aborts first.
   */
  turn(running: boolean, signal?: AbortSignal): Promise<void>;
  /** For a decision or a cancellation of a run that goes on. Throws `RATE_LIMITED` if the tenant owes as much as it can. */
  expectCounted(): void;
  /** Waits for a place to read the run for a decision or a cancellation, however long those of others take: nobody refuses it any more. */
  place(): Promise<void>;
  /** Counts the run that has been read, if there was no turn for it. */
  read(document: Sized): void;
  /** Counts what else has been read of it, in bytes. */
  count(bytes: number, running: boolean): void;
  /** Must be called when the reading is over, also where it has failed or its turn has not come: gives its place back. */
  end(): void;
}

/**
 * The pace of reading runs for requests that are small, such as `GET /v1/runs/{id}`. A document of some megabytes takes tens of milliseconds of
 * the event loop: those of a tenant are read at a pace. How large a run is is known when it has been read; a small one may be large when it has ended.
 */
class PacedRuns {
  readonly #pace = new ReadPace('runs', BYTES_PER_MS);
  readonly #places = places();
  readonly #actPlaces = places();
  /** By tenant and id. */
  readonly #known = new Map<string, Known>();
  /** Those who wait for a run, or follow it, have one document. */
  readonly #counted = new WeakSet<Sized>();

  reading(id: string, { tenant }: Pick<Caller, 'tenant'>): Reading {
    const name = JSON.stringify([tenant, id]);
    const pace = this.#pace;
    /** Bytes for which there was a turn. */
    let paid = 0;
    let isOver = false;
    let leave: (() => void) | undefined;
    const end = () => {
      isOver = true;
      leave?.();
    };
    const placeIn = async (from: FairSlots, signal: AbortSignal) => {
      const place = await from.acquire(tenant, signal);
      if (isOver) place();
      else leave = place;
    };
    const placeInTime = async (signal = new AbortController().signal) => {
      const limit = timeLimit(MOST_WAIT_MS, signal);
      try {
        await placeIn(this.#places, limit.signal);
      } catch (error) {
        if (signal.aborted) throw clientLeft();
        if (!limit.signal.aborted) throw error;
        // What takes so long may be what the tenant owes.
        pace.expectSettled(tenant);
        throw waitedTooLong('place to read a run', MOST_WAIT_MS);
      } finally {
        limit.release();
      }
    };
    const count = (bytes: number, running: boolean) => {
      pace.charge(tenant, bytes - paid);
      this.#known.delete(name);
      this.#known.set(name, { bytes, running });
      keepNewest(this.#known, MOST_KNOWN);
    };
    return {
      turn: async (running, signal) => {
        let bytes = this.#bytesOf(name, running);
        if (bytes === undefined) {
          await placeInTime(signal);
          bytes = this.#bytesOf(name, running);
          if (bytes === undefined) return await pace.settled(tenant, signal);
          // Another has read it meanwhile.
          leave?.();
        }
        await pace.turn(tenant, bytes, signal);
        paid = bytes;
      },
      expectCounted: () => pace.expectCounted(tenant),
      place: () => placeIn(this.#actPlaces, new AbortController().signal),
      read: (document) => {
        if (this.#counted.has(document)) return;
        this.#counted.add(document);
        // Two bytes for a character in memory are one in a text.
        count(bytesIn(document as unknown as Json) / 2, document.status === 'running');
      },
      count,
      end,
    };
  }

  #bytesOf(name: string, running: boolean): number | undefined {
    const known = this.#known.get(name);
    return known && (known.bytes > SMALL_BYTES || known.running === running) ? known.bytes : undefined;
  }
}

const pacesOf = new WeakMap<Client, PacedRuns>();

/** One for all who read runs from a Temporal. */
export function pacedRuns({ temporal }: Pick<RunReading, 'temporal'>): PacedRuns {
  const there = pacesOf.get(temporal);
  if (there) return there;
  const made = new PacedRuns();
  pacesOf.set(temporal, made);
  return made;
}

/** Counts a run that was read for who waited for its end: later readings wait for it. */
export function countRead(
  deps: Pick<RunReading, 'temporal'>,
  caller: Pick<Caller, 'tenant'>,
  document: RunDocument,
): void {
  pacedRuns(deps).reading(document.id, caller).read(document);
}

/** How a run is read. */
export interface Paced {
  /**
   * Whether the reading waits for its turn. `acts`: before a decision or a cancellation, which waits for those of others only while the run goes on.
   * `no`: after one, or within a response that has begun; it counts only. Default: it waits.
   */
  readonly waits?: 'acts' | 'no' | undefined;
  /** Aborts when the client has left, which ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a run whole for a request that may be repeated. Throws as `readRun` does, `RATE_LIMITED` if too much is read of the tenant's large runs,
 * `OVERLOADED` if its earlier readings take too long, and `REQUEST_ABORTED` if the client leaves while it waits. Who may not see the run waits for
 * nothing and counts for nothing.
 */
export async function readPaced(deps: RunReading, id: string, caller: Caller, how: Paced = {}): Promise<RunRecord> {
  const reading = pacedRuns(deps).reading(id, caller);
  try {
    return await wholeRun(deps, id, caller, reading, (running) => turnOf(reading, running, how));
  } finally {
    reading.end();
  }
}

/** Waits before what may be large of a run is read. */
async function turnOf(reading: Reading, running: boolean, { waits, signal }: Paced): Promise<void> {
  if (waits === 'no') return;
  if (!running || waits !== 'acts') return await reading.turn(running, signal);
  reading.expectCounted();
  await reading.place();
}

/**
 * Reads the input of a run that is not started yet, and what is kept with it, for a caller that may see the run. Waits and throws as `readPaced`
 * does.
 */
export async function readInputPaced(
  deps: Pick<RunReading, 'temporal'>,
  { id, tenant }: EndingRun,
  how: Paced,
  read: () => Promise<JsonObject>,
): Promise<JsonObject> {
  const reading = pacedRuns(deps).reading(id, { tenant });
  try {
    await turnOf(reading, true, how);
    const found = await read();
    reading.read({ status: 'running', input: found });
    return found;
  } finally {
    reading.end();
  }
}

/**
 * Reads the notes of a run, which Temporal sends with its input, for a caller that may see the run. Waits and throws as `readPaced` does.
 * @param read calls `sent` with the bytes of what Temporal has sent
 */
export async function readNotesPaced<T>(
  deps: Pick<RunReading, 'temporal'>,
  { id, tenant, running }: EndingRun & { readonly running: boolean },
  how: Paced,
  read: (sent: (bytes: number) => void) => Promise<T>,
): Promise<T> {
  // No run has this id: how large its document is remains known.
  const reading = pacedRuns(deps).reading(`${id} notes`, { tenant });
  try {
    await turnOf(reading, running, how);
    let bytes = 0;
    const found = await read((more) => {
      bytes += more;
    });
    reading.count(bytes, running);
    return found;
  } finally {
    reading.end();
  }
}

async function wholeRun(
  deps: RunReading,
  id: string,
  caller: Caller,
  reading: Reading,
  begin?: (running: boolean) => Promise<void>,
): Promise<RunRecord> {
  // Not one that has been accepted only: it is small, and may be large once it has started.
  let isWhole = false;
  const found = await readRun(deps, id, caller, async (running) => {
    isWhole = true;
    await begin?.(running);
  });
  if (isWhole) reading.read(found.document);
  return found;
}

/**
 * Decides or cancels, and reads the run then, for a caller that may see it. Where it has ended, at its turn; otherwise the client's leaving undoes
 * nothing. Throws as `readPaced` does, and what the work throws.
 * @param running whether the run still goes on
 */
export async function readActed(
  deps: RunReading,
  id: string,
  caller: Caller,
  { running, signal }: { readonly running: boolean; readonly signal: AbortSignal },
  work: () => Promise<unknown>,
): Promise<RunRecord> {
  const reading = pacedRuns(deps).reading(id, caller);
  try {
    if (running) reading.expectCounted();
    else await reading.turn(false, signal);
    await work();
    if (running) await reading.place();
    return await wholeRun(deps, id, caller, reading);
  } finally {
    reading.end();
  }
}

/**
 * The document of a run that has ended, for who follows it and may see it; those who ask for it at the same time share it. Throws as `readPaced`
 * does.
 */
export async function readEnded(
  deps: RunReading,
  { id, tenant }: EndingRun,
  signal?: AbortSignal,
): Promise<RunDocument> {
  const reading = pacedRuns(deps).reading(id, { tenant });
  try {
    await reading.turn(false, signal);
    const { document } = await readTogether(deps, { id, tenant });
    reading.read(document);
    return document;
  } finally {
    reading.end();
  }
}
