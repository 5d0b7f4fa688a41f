import { setMaxListeners } from 'node:events';
import { WorkflowNotFoundError } from '@temporalio/common';
import { Gauge } from 'prom-client';
import { TenantSlots } from '../runtime/tenant-slots.js';
import type { RunParts } from './deps.js';
import { seenRun, startedRun } from './described-run.js';
import type { RunDocument } from './document.js';
import { grpcErrorIn, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { type EndingRun, outcomeOf, type RunEnd, type RunOutcome } from './outcome.js';
import { readRun } from './read.js';

/**
 * Default limit of concurrent long polls. A Temporal frontend accepts 1,200 per namespace (`frontend.namespaceCount`), workers'
 * polls included, and rejects all others.
 */
const LONG_POLLS = 256;
/** Share of the limit that one tenant may use. */
const SHARE_OF_TENANT = 0.75;

/** Interval at which each run without a long poll is described, in milliseconds. */
const DESCRIBE_EVERY_MS = 1_000;
/** Runs that are described at a time. */
const DESCRIBED_AT_ONCE = { all: 12, ofTenant: 8 };
const TICK_MS = 100;

interface Watched extends EndingRun {
  readonly waiters: Set<{ settle(end: RunEnd): void; fail(error: unknown): void }>;
  /** Aborts when the last waiter has left. */
  readonly left: AbortController;
  describedAt: number;
  /** Its delivery has not started it yet: there is nothing to poll. */
  isUnstarted: boolean;
}

type Reading = Pick<RunParts, 'temporal' | 'uiUrl' | 'webhooks' | 'logger' | 'registry' | 'limits'>;

/**
 * Waits for the end of each run once, however many requests wait for it. Uses a long poll of Temporal; runs above the limit of long
 * polls, and those that their delivery has not started yet, are described in turn and get a long poll when they may have one. The run's
 * document is read once, if a waiter needs more than the outcome.
 */
export class RunEnds {
  readonly #deps: Reading;
  readonly #most: number;
  readonly #watched = new Map<string, Watched>();
  /** Runs without a long poll, least recently described first. */
  readonly #unpolled = new Set<Watched>();
  /** Open long polls by tenant. */
  readonly #polls = new Map<string, number>();
  #polling = 0;
  readonly #descriptions = new TenantSlots(DESCRIBED_AT_ONCE.all, DESCRIBED_AT_ONCE.ofTenant);
  #timer: NodeJS.Timeout | undefined;

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
   * Resolves when the run has ended; with undefined if `signal` aborts first. Rejects if Temporal is unavailable or does not know
   * the run.
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
    const watched: Watched = {
      id,
      tenant,
      waiters: new Set(),
      left: new AbortController(),
      describedAt: 0,
      isUnstarted: false,
    };
    // The client adds a listener for each of its polls of a long run, and Node warns of the eleventh.
    setMaxListeners(0, watched.left.signal);
    this.#watched.set(id, watched);
    if (this.#mayPoll(tenant)) void this.#poll(watched);
    else this.#queue(watched, 0);
    return watched;
  }

  #forget(watched: Watched): void {
    if (this.#watched.get(watched.id) === watched) this.#watched.delete(watched.id);
    this.#unpolled.delete(watched);
    watched.left.abort();
  }

  #mayPoll(tenant: string): boolean {
    const share = Math.max(1, Math.floor(this.#most * SHARE_OF_TENANT));
    return this.#polling < this.#most && (this.#polls.get(tenant) ?? 0) < share;
  }

  /** Never rejects. */
  async #poll(watched: Watched): Promise<void> {
    const { temporal, webhooks } = this.#deps;
    this.#count(watched.tenant, 1);
    const result = temporal.withAbortSignal(watched.left.signal, () =>
      outcomeOf(temporal.workflow.getHandle(watched.id)),
    );
    await result
      .finally(() => this.#count(watched.tenant, -1))
      .then(
        (outcome) => (outcome ? this.#ended(watched, outcome) : this.#queue(watched)),
        (error: unknown) => {
          watched.isUnstarted = webhooks !== undefined && error instanceof WorkflowNotFoundError;
          if (watched.isUnstarted) return this.#queue(watched, 0);
          return isFull(error) ? this.#queue(watched) : this.#failed(watched, error);
        },
      );
  }

  #count(tenant: string, by: 1 | -1): void {
    this.#polling += by;
    const polls = (this.#polls.get(tenant) ?? 0) + by;
    if (polls > 0) this.#polls.set(tenant, polls);
    else this.#polls.delete(tenant);
  }

  /** @param describedAt when it was last looked at, by the monotonic clock. Default: now. */
  #queue(watched: Watched, describedAt = performance.now()): void {
    if (watched.left.signal.aborted) return;
    watched.describedAt = describedAt;
    this.#unpolled.add(watched);
    this.#timer ??= setTimeout(() => this.#next(), TICK_MS).unref();
  }

  #next(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const watched of this.#unpolled) {
      // A run whose long poll Temporal has just rejected waits for its turn.
      if (watched.describedAt + DESCRIBE_EVERY_MS > now) break;
      const mayPoll = !watched.isUnstarted && this.#mayPoll(watched.tenant);
      const release = mayPoll ? undefined : this.#descriptions.take(watched.tenant);
      if (!mayPoll && !release) continue;
      this.#unpolled.delete(watched);
      void (release ? this.#describe(watched).finally(release) : this.#poll(watched));
    }
    if (this.#unpolled.size > 0) this.#timer ??= setTimeout(() => this.#next(), TICK_MS).unref();
  }

  /** Never rejects. */
  async #describe(watched: Watched): Promise<void> {
    const { temporal, webhooks } = this.#deps;
    try {
      const outcome = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, async () => {
        const { running, accepted } = await (webhooks ? seenRun : startedRun)(temporal, watched.id);
        watched.isUnstarted = accepted === true;
        return running ? undefined : await outcomeOf(temporal.workflow.getHandle(watched.id));
      });
      if (outcome) this.#ended(watched, outcome);
      else this.#queue(watched);
    } catch (error) {
      if (isFull(error)) this.#queue(watched);
      else this.#failed(watched, error);
    }
  }

  #ended(watched: Watched, outcome: RunOutcome): void {
    const { id, tenant, waiters } = watched;
    this.#forget(watched);
    let read: Promise<RunDocument> | undefined;
    // Shared by all waiters: each was authorised to see the run when it began to wait. One that fails is not kept.
    const document = () => {
      read ??= readRun(this.#deps, id, { tenant }).then(
        (found) => found.document,
        (error: unknown) => {
          read = undefined;
          throw error;
        },
      );
      return read;
    };
    for (const { settle } of waiters) settle({ outcome, document });
  }

  #failed(watched: Watched, error: unknown): void {
    this.#forget(watched);
    for (const { fail } of watched.waiters) fail(error);
  }
}

/** `RESOURCE_EXHAUSTED`: Temporal rejects the call for now; it can be retried. */
function isFull(error: unknown): boolean {
  return grpcErrorIn(error)?.code === 8;
}
