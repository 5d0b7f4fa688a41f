import type { Json } from '../../pipelines/json.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import type { RunDocument } from '../../runs/document.js';
import { type RunRecord, readRun } from '../../runs/read.js';
import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { bytesIn } from '../input/held-bodies.js';
import { ReadPace, SMALL_BYTES } from '../openai/read-pace.js';

/** What is read of the runs of one tenant, in bytes for each millisecond: to read it and to make a text of it takes a seventh of the time. */
const BYTES_PER_MS = 8_000;
/** Large runs that are remembered, the latest ones. */
const MOST_KNOWN = 10_000;

/**
 * Reads runs for requests that are small, such as `GET /v1/runs/{id}`. A document of some megabytes takes tens of milliseconds of the event loop:
 * those of a tenant are read at a pace. How large a run is is known when it has been read; it is remembered for the next request.
 */
export class PacedRuns {
  readonly #deps: GatewayDeps;
  readonly #pace = new ReadPace('runs', BYTES_PER_MS);
  /** Bytes of large runs, by tenant and id. */
  readonly #known = new Map<string, number>();

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
  }

  /** One for all routes of a gateway. */
  static of(deps: GatewayDeps): PacedRuns {
    const there = instances.get(deps);
    if (there) return there;
    const made = new PacedRuns(deps);
    instances.set(deps, made);
    return made;
  }

  /** Throws as `readRun` does, and `RATE_LIMITED` if too many large ones are read. */
  async read(id: string, caller: Caller): Promise<RunRecord> {
    return await this.reading(
      id,
      caller,
      () => readRun(this.#deps, id, caller),
      ({ document }) => document,
    );
  }

  /**
   * The same where a door reads a run with more.
   * @param id the run's, or what the door names it by
   */
  async reading<Found>(
    id: string,
    caller: Caller,
    read: () => Promise<Found>,
    documentIn: (found: Found) => RunDocument,
  ): Promise<Found> {
    const hadTurn = await this.turn(id, caller);
    const found = await read();
    // Two bytes for a character in memory are one in a text.
    this.note(id, caller, bytesIn(documentIn(found) as unknown as Json) / 2, hadTurn);
    return found;
  }

  /** Waits until a run may be read that is known to be large. False for all others. Throws `RATE_LIMITED` if too many are read. */
  async turn(id: string, { tenant }: Caller): Promise<boolean> {
    const known = this.#known.get(nameOf(tenant, id));
    if (known === undefined) return false;
    await this.#pace.turn(tenant, known);
    return true;
  }

  /** How large a run is that has been read. What had no turn is counted now: later ones wait for it. */
  note(id: string, { tenant }: Caller, bytes: number, hadTurn: boolean): void {
    if (!hadTurn) this.#pace.charge(tenant, bytes);
    const name = nameOf(tenant, id);
    this.#known.delete(name);
    if (bytes <= SMALL_BYTES) return;
    this.#known.set(name, bytes);
    keepNewest(this.#known, MOST_KNOWN);
  }
}

const nameOf = (tenant: string, id: string): string => JSON.stringify([tenant, id]);

const instances = new WeakMap<GatewayDeps, PacedRuns>();
