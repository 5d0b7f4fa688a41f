import { isGrpcServiceError } from '@temporalio/client';
import { Gauge } from 'prom-client';
import type { RunParts } from './deps.js';
import type { RunDocument } from './document.js';
import { TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { type EndingRun, outcomeOf, type RunEnd, type RunOutcome } from './outcome.js';
import { readRun } from './read.js';

/**
 * Long polls that a gateway holds open at Temporal where nothing else is said. A frontend of Temporal takes 1,200 in a namespace
 * (`frontend.namespaceCount`), those of workers included, and refuses more to everybody.
 */
const LONG_POLLS = 256;
/** Of these one tenant gets so many, so that its waits do not slow down the others’. */
const SHARE_OF_TENANT = 0.75;

/** A run without a long poll is looked at so often at most, in milliseconds, and of all those so many at a time. */
const LOOK_EVERY_MS = 1_000;
const LOOKS_AT_ONCE = 8;
const TICK_MS = 100;

interface Watched extends EndingRun {
  readonly waiters: Set<{ settle(end: RunEnd): void; fail(error: unknown): void }>;
  /** Aborts when nobody waits any more. */
  readonly left: AbortController;
  lookedAt: number;
}

type Reading = Pick<RunParts, 'temporal' | 'uiUrl' | 'webhooks' | 'logger' | 'registry' | 'limits'>;

/**
 * Learns the end of each run once, however many wait for it by whichever door: by a long poll of Temporal, of which there is a
 * bounded number; what is above it is looked at in turn, and gets a long poll when one is free. The run is read once as well, if anybody needs more than its outcome.
 */
export class RunEnds {
  readonly #deps: Reading;
  readonly #most: number;
  readonly #watched = new Map<string, Watched>();
  /** Runs that have no long poll, those looked at longest ago first. */
  readonly #inTurn = new Set<Watched>();
  /** Long polls under way, by tenant. */
  readonly #polls = new Map<string, number>();
  #polling = 0;
  #looking = 0;
  #turn: NodeJS.Timeout | undefined;

  constructor(deps: Reading) {
    this.#deps = deps;
    this.#most = deps.limits.longPolls ?? LONG_POLLS;
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers: [deps.registry],
        collect() {
          this.set(value());
        },
      });
    gauge('millrace_awaited_runs', 'Runs whose end requests at this gateway wait for', () => this.#watched.size);
    gauge('millrace_temporal_long_polls', 'Long polls of Temporal for the ends of runs', () => this.#polling);
  }

  /**
   * How a run has ended, when it has; undefined when `signal` aborts before. Rejects where Temporal stops answering, or does not
   * know the run.
   */
  of(run: EndingRun, signal: AbortSignal): Promise<RunEnd | undefined> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve(undefined);
      const watched = this.#watched.get(run.id) ?? this.#watch(run);
      const leave = () => {
        watched.waiters.delete(waiter);
        if (watched.waiters.size === 0) this.#forget(watched);
        resolve(undefined);
      };
      const done = () => signal.removeEventListener('abort', leave);
      const waiter = {
        settle: (end: RunEnd) => {
          done();
          resolve(end);
        },
        fail: (error: unknown) => {
          done();
          reject(error);
        },
      };
      watched.waiters.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #watch({ id, tenant }: EndingRun): Watched {
    const watched: Watched = { id, tenant, waiters: new Set(), left: new AbortController(), lookedAt: 0 };
    this.#watched.set(id, watched);
    if (this.#mayPoll(tenant)) void this.#poll(watched);
    else this.#queue(watched);
    return watched;
  }

  #forget(watched: Watched): void {
    if (this.#watched.get(watched.id) === watched) this.#watched.delete(watched.id);
    this.#inTurn.delete(watched);
    watched.left.abort();
  }

  #mayPoll(tenant: string): boolean {
    const share = Math.max(1, Math.floor(this.#most * SHARE_OF_TENANT));
    return this.#polling < this.#most && (this.#polls.get(tenant) ?? 0) < share;
  }

  /** Never rejects. */
  async #poll(watched: Watched): Promise<void> {
    const { temporal } = this.#deps;
    this.#count(watched.tenant, 1);
    const asked = temporal.withAbortSignal(watched.left.signal, () =>
      outcomeOf(temporal.workflow.getHandle(watched.id)),
    );
    await asked
      .finally(() => this.#count(watched.tenant, -1))
      .then(
        (outcome) => (outcome ? this.#ended(watched, outcome) : undefined),
        (error: unknown) => {
          if (!isFull(error)) return this.#failed(watched, error);
          watched.lookedAt = performance.now();
          this.#queue(watched);
        },
      );
  }

  #count(tenant: string, by: 1 | -1): void {
    this.#polling += by;
    const polls = (this.#polls.get(tenant) ?? 0) + by;
    if (polls > 0) this.#polls.set(tenant, polls);
    else this.#polls.delete(tenant);
  }

  #queue(watched: Watched): void {
    if (watched.left.signal.aborted) return;
    this.#inTurn.add(watched);
    this.#turn ??= setTimeout(() => this.#next(), TICK_MS).unref();
  }

  #next(): void {
    this.#turn = undefined;
    const now = performance.now();
    for (const watched of this.#inTurn) {
      const due = watched.lookedAt + LOOK_EVERY_MS <= now;
      // One that Temporal has just refused a long poll waits for its turn first.
      if (due && this.#mayPoll(watched.tenant)) {
        this.#inTurn.delete(watched);
        watched.lookedAt = now;
        void this.#poll(watched);
      } else if (due && this.#looking < LOOKS_AT_ONCE) {
        this.#inTurn.delete(watched);
        watched.lookedAt = now;
        void this.#look(watched);
      } else break;
    }
    if (this.#inTurn.size > 0) this.#turn ??= setTimeout(() => this.#next(), TICK_MS).unref();
  }

  /** Never rejects. */
  async #look(watched: Watched): Promise<void> {
    const { temporal } = this.#deps;
    const handle = temporal.workflow.getHandle(watched.id);
    this.#looking++;
    try {
      const outcome = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, async () => {
        const { status } = await handle.describe();
        const runs = status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW';
        return runs ? undefined : await outcomeOf(handle);
      });
      if (outcome) this.#ended(watched, outcome);
      else this.#queue(watched);
    } catch (error) {
      if (isFull(error)) this.#queue(watched);
      else this.#failed(watched, error);
    } finally {
      this.#looking--;
    }
  }

  #ended(watched: Watched, outcome: RunOutcome): void {
    const { id, tenant, waiters } = watched;
    this.#forget(watched);
    let read: Promise<RunDocument> | undefined;
    // Once for all who ask: each of them was allowed to know of the run before.
    const document = () => {
      read ??= readRun(this.#deps, id, { tenant }).then((found) => found.document);
      return read;
    };
    for (const { settle } of waiters) settle({ outcome, document });
  }

  #failed(watched: Watched, error: unknown): void {
    this.#forget(watched);
    for (const { fail } of watched.waiters) fail(error);
  }
}

/** Temporal has as many calls as it takes (RESOURCE_EXHAUSTED): the run may be asked for later. */
function isFull(error: unknown): boolean {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  return isGrpcServiceError(cause) && cause.code === 8;
}
