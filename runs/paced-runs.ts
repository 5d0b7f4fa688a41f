import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { bytesIn } from '../pipelines/bytes-in.js';
import { MillraceError } from '../pipelines/errors.js';
import type { Json } from '../pipelines/json.js';
import { keepNewest } from '../pipelines/keep-newest.js';
import type { Caller } from './caller.js';
import type { RunDocument } from './document.js';
import type { EndingRun } from './outcome.js';
import { type RunReading, type RunRecord, readRun } from './read.js';
import { MOST_WAIT_MS, ReadPace, SMALL_BYTES } from './read-pace.js';
import { readTogether } from './read-together.js';

/** What is read of the runs of one tenant, in bytes for each millisecond: to read it and to make a text of it takes a seventh of the time. */
const BYTES_PER_MS = 8_000;
/** Large runs that are remembered, the latest ones. */
const MOST_KNOWN = 10_000;
/** Pause that a caller is asked for where another's first reading of the run takes too long, in milliseconds. */
const AGAIN_MS = 1_000;

/** A reading of a run by a caller that may see it. */
export interface Reading {
  /**
   * Waits for its turn. While a run whose size is not known is read for the first time, others who would read it wait: it may be large. `end` must be
   * called then. Throws `RATE_LIMITED` if too many large runs are read.
   */
  begin(): Promise<void>;
  /** As `begin`, where what is read is not read at once: nobody else waits for it, and it has no `end`. */
  turn(): Promise<void>;
  /** Counts the run that has been read, if there was no turn for it. */
  read(document: RunDocument): void;
  /** Must be called after `begin`, also where it throws. */
  end(): void;
}

/**
 * The pace of reading runs for requests that are small, such as `GET /v1/runs/{id}`. A document of some megabytes takes tens of milliseconds of
 * the event loop: those of a tenant are read at a pace. How large a run is is known when it has been read; it is remembered for the next request.
 */
class PacedRuns {
  readonly #pace = new ReadPace('runs', BYTES_PER_MS);
  /** Bytes of large runs, by tenant and id. */
  readonly #known = new Map<string, number>();
  /** First readings under way, by tenant and id. Each resolves at its end. */
  readonly #first = new Map<string, Promise<void>>();
  /** Those who wait for a run, or follow it, have one document. */
  readonly #counted = new WeakSet<RunDocument>();

  reading(id: string, { tenant }: Pick<Caller, 'tenant'>): Reading {
    const name = JSON.stringify([tenant, id]);
    let hadTurn = false;
    let end: () => void = () => undefined;
    const turn = async () => {
      const known = this.#known.get(name);
      if (known === undefined) return await this.#pace.turnOfUnknown(tenant);
      await this.#pace.turn(tenant, known);
      hadTurn = true;
    };
    return {
      turn,
      begin: async () => {
        const other = this.#first.get(name);
        if (!this.#known.has(name)) {
          if (other !== undefined) await endOf(other, id);
          else end = this.#begin(name);
        }
        await turn();
      },
      read: (document) => {
        if (this.#counted.has(document)) return;
        this.#counted.add(document);
        // Two bytes for a character in memory are one in a text.
        const bytes = bytesIn(document as unknown as Json) / 2;
        if (!hadTurn) this.#pace.charge(tenant, bytes);
        this.#remember(name, bytes);
      },
      end: () => end(),
    };
  }

  #begin(name: string): () => void {
    let resolve: () => void = () => undefined;
    const first = new Promise<void>((done) => {
      resolve = done;
    });
    this.#first.set(name, first);
    return () => {
      if (this.#first.get(name) === first) this.#first.delete(name);
      resolve();
    };
  }

  #remember(name: string, bytes: number): void {
    this.#known.delete(name);
    if (bytes <= SMALL_BYTES) return;
    this.#known.set(name, bytes);
    keepNewest(this.#known, MOST_KNOWN);
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

/**
 * Reads a run whole for a request that may be repeated. Throws as `readRun` does, and `RATE_LIMITED` if too many large ones of the tenant are read.
 * Who may not see the run waits for nothing and counts for nothing.
 * @param acts whether it is read for a decision or a cancellation: these do not wait while the run goes on, but count
 */
export async function readPaced(deps: RunReading, id: string, caller: Caller, acts = false): Promise<RunRecord> {
  const reading = pacedRuns(deps).reading(id, caller);
  try {
    const found = await readRun(deps, id, caller, async (running) => {
      if (!acts || !running) await reading.begin();
    });
    reading.read(found.document);
    return found;
  } finally {
    reading.end();
  }
}

/**
 * The document of a run that has ended, for who follows it and may see it; those who ask for it at the same time share it. Throws as `readPaced`
 * does.
 */
export async function readEnded(deps: RunReading, { id, tenant }: EndingRun): Promise<RunDocument> {
  const reading = pacedRuns(deps).reading(id, { tenant });
  try {
    await reading.begin();
    const { document } = await readTogether(deps, { id, tenant });
    reading.read(document);
    return document;
  } finally {
    reading.end();
  }
}

/** Waits for the end of another's reading, at most as long as for a turn. Throws `RATE_LIMITED` if it takes longer. */
async function endOf(reading: Promise<void>, id: string): Promise<void> {
  const over = new AbortController();
  const late = sleep(MOST_WAIT_MS, true, { signal: over.signal }).catch(() => false);
  const isLate = await Promise.race([reading.then(() => false), late]);
  over.abort();
  if (!isLate) return;
  const message = `another request has been reading the run ${id} for ${MOST_WAIT_MS / 1_000} s`;
  throw new MillraceError('RATE_LIMITED', message, { retryAfterMs: AGAIN_MS });
}
