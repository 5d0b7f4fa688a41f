import type { Redis } from 'ioredis';
import { type ErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { CachedBy, CacheOutcome } from '../../pipelines/run/stage-outcome.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import { Allowance, type AllowanceLimits } from './allowance.js';
import { Budget } from './budget.js';
import { type CacheKeys, type ExactRequest, exactKeysOf } from './cache-key.js';
import { Entries, type Entry, type Failure, fits, type Stored } from './entries.js';
import { dayEndOf, ttlOf } from './freshness.js';
import type { Lease } from './lease.js';
import { patienceOf, SingleFlight, type Usable } from './single-flight.js';

/**
 * Failures that the same input causes again; others depend on a server, its load or its settings. A server also rejects calls
 * (`BACKEND_REJECTED`) for its own reasons: a route that is not there, an account without credit.
 */
const STABLE: ReadonlySet<ErrorCode> = new Set([
  'INVALID_INPUT',
  'INVALID_MEDIA',
  'CONTEXT_TOO_LONG',
  'LENGTH',
  'CHECK_TOO_COSTLY',
]);

/** Length of a lease without renewal, in milliseconds: how long others wait for a worker that died. */
const LEASE_MS = 3_000;

export interface ExactCacheParts extends AllowanceLimits {
  readonly redis: Redis;
  readonly metrics: Pick<Metrics, 'cacheLookups' | 'cacheHits' | 'cacheSeconds'>;
  readonly logger: Logger;
  readonly leaseMs?: number;
  /** What the answers of a tenant may take. Default: no limit but the store's. */
  readonly budget?: Budget;
}

export interface ExactlyCached {
  readonly output: JsonObject;
  readonly outcome: CacheOutcome;
  /** Of a hit. */
  readonly by?: CachedBy;
}

interface Call {
  /** When it began, on the clock of `performance.now()`. */
  readonly started: number;
  /** When the day ends that it began on, as `dayEndOf`. */
  readonly dayEnds: number;
}

type Lookup =
  | { readonly do: 'serve'; readonly entry: Entry; readonly outcome: 'hit' | 'shared' }
  | { readonly do: 'lead'; readonly lease: Lease }
  | { readonly do: 'bypass' };

/**
 * Serves the result of an earlier call with the same input. Of concurrent calls, on any worker, one is made.
 *
 * Fails open: if Redis does not respond, the call is made as if there were no cache.
 */
export class ExactCache {
  readonly #entries: Entries;
  readonly #flight: SingleFlight;
  readonly #allowance: Allowance;
  readonly #budget: Budget;
  readonly #metrics: ExactCacheParts['metrics'];
  readonly #warnings: RationedWarnings;

  constructor(parts: ExactCacheParts) {
    const { redis, metrics, logger, leaseMs = LEASE_MS, budget } = parts;
    this.#entries = new Entries(redis);
    this.#flight = new SingleFlight(this.#entries, leaseMs);
    this.#allowance = new Allowance(redis, parts);
    this.#budget = budget ?? new Budget(redis, 0);
    this.#metrics = metrics;
    this.#warnings = new RationedWarnings(logger);
  }

  /**
   * The result of the call, from the cache or from `produce`, which is called at most once and whose errors are rethrown.
   * Throws a cached failure, and the signal's reason if that aborts during the lookup. Cached results that are not
   * `valid` are ignored and overwritten.
   */
  async through(
    request: ExactRequest,
    produce: () => Promise<JsonObject>,
    signal: AbortSignal,
    valid: (output: JsonObject) => boolean | Promise<boolean> = () => true,
  ): Promise<ExactlyCached> {
    signal.throwIfAborted();
    const at = exactKeysOf(request);
    const found = await this.#look(request, at, signal, usableIf(request, valid));
    if (found.do === 'serve') return this.#serve(request, at, found.entry, found.outcome);
    if (found.do === 'bypass') {
      this.#count(request, 'bypass');
      return { output: await produce(), outcome: 'bypass' };
    }
    let output: JsonObject;
    const call: Call = { started: performance.now(), dayEnds: dayEndOf(request.untilMidnight) };
    try {
      output = await produce();
    } catch (error) {
      this.#count(request, 'miss');
      await this.#keepFailure(request, at, found.lease, error, call);
      throw error;
    }
    const kept = await this.#keep(request, at, found.lease, { text: '', output }, request.ttlMs, call);
    const outcome = kept ? 'miss' : 'bypass';
    this.#count(request, outcome);
    return { output, outcome };
  }

  /** An earlier result, if there is one; neither makes a call nor waits for one. Throws as `through` does. */
  async earlier(
    request: ExactRequest,
    signal: AbortSignal,
    valid: (output: JsonObject) => boolean | Promise<boolean> = () => true,
  ): Promise<ExactlyCached | undefined> {
    signal.throwIfAborted();
    const at = exactKeysOf(request);
    let entry: Entry | undefined;
    try {
      [entry] = await this.#entries.read(at, [at.id]);
    } catch (error) {
      this.#bypassed(request, error);
    }
    signal.throwIfAborted();
    if (entry && (await usableIf(request, valid)(entry))) return this.#serve(request, at, entry, 'hit');
    this.#count(request, 'miss');
    return undefined;
  }

  async #look(request: ExactRequest, at: CacheKeys, signal: AbortSignal, usable: Usable): Promise<Lookup> {
    const end = this.#metrics.cacheSeconds.startTimer({ pipeline: request.pipeline, stage: request.stage });
    const lease = this.#flight.lease(at);
    try {
      const claim = await this.#flight.claim(lease, at, usable);
      end();
      if (claim === 'mine' || claim === 'unkept') return { do: 'lead', lease };
      if (claim !== 'taken') return { do: 'serve', entry: claim, outcome: 'hit' };
      const wait = () => this.#flight.wait(lease, at, usable, patienceOf(request.endsAt), signal);
      const found = await (request.waiting?.(wait) ?? wait());
      if (typeof found === 'string') return { do: 'lead', lease };
      return { do: 'serve', entry: found, outcome: 'shared' };
    } catch (error) {
      // Redis may have granted the lease although its reply was lost.
      lease.giveUp();
      signal.throwIfAborted();
      this.#bypassed(request, error);
      return { do: 'bypass' };
    }
  }

  #serve(request: ExactRequest, at: CacheKeys, { output, failure }: Entry, outcome: CacheOutcome): ExactlyCached {
    this.#count(request, outcome);
    const { partition, id } = at;
    this.#budget.used({ tenant: request.tenant, partition, id }).catch(() => undefined);
    this.#metrics.cacheHits.inc({ pipeline: request.pipeline, stage: request.stage, tier: 'exact' });
    if (failure) {
      const { code, message, fields } = failure;
      throw new MillraceError(code, message, fields === undefined ? {} : { fields: fields as never });
    }
    return { output, outcome, by: { tier: 'exact', entry: `${at.partition}:${at.id}` } };
  }

  async #keepFailure(request: ExactRequest, at: CacheKeys, lease: Lease, error: unknown, call: Call) {
    const failure = stableFailure(error);
    if (request.negativeMs === undefined || !failure) return lease.giveUp();
    const atMostMs = Math.min(request.negativeMs, request.ttlMs);
    await this.#keep(request, at, lease, { text: '', failure }, atMostMs, call);
  }

  /** False if the cache was unavailable. */
  async #keep(request: ExactRequest, at: CacheKeys, lease: Lease, entry: Stored, atMostMs: number, call: Call) {
    const costMs = performance.now() - call.started;
    lease.end();
    try {
      if (!fits(entry)) {
        lease.sendOff();
        return true;
      }
      const { tenant, insertedBy, pipeline, stage } = request;
      const bytes = Buffer.byteLength(JSON.stringify(entry));
      const exceeded = await this.#allowance.exceeded(tenant, insertedBy, bytes);
      if (exceeded !== undefined) {
        // Another caller may have some left.
        if (exceeded === 'tenant') lease.sendOff();
        else lease.giveUp();
        const message = `result not stored: the ${exceeded} has used up its hourly allowance of the exact cache`;
        this.#warnings.warn('allowance', { tenant, pipeline, stage }, message);
        return true;
      }
      await this.#budget.makeRoom(bytes);
      const ttlMs = ttlOf(atMostMs, call.dayEnds);
      if (ttlMs <= 0) {
        lease.giveUp();
        return true;
      }
      await this.#entries.store(at, lease.owner, entry, ttlMs);
      this.#budget.stored({ tenant, partition: at.partition, id: at.id }, bytes, costMs, ttlMs).catch(() => undefined);
      return true;
    } catch (error) {
      lease.giveUp();
      this.#warnings.warn('store', aboutOf(request, error), 'result not stored in the exact cache');
      return false;
    }
  }

  #bypassed(request: ExactRequest, error: unknown): void {
    this.#warnings.warn('lookup', aboutOf(request, error), 'exact cache bypassed');
  }

  #count({ pipeline, stage }: ExactRequest, outcome: CacheOutcome): void {
    this.#metrics.cacheLookups.inc({ pipeline, stage, outcome });
  }
}

/** Failures are served only to stages that ask for them, and as long as each asks. */
const usableIf =
  ({ negativeMs = 0 }: ExactRequest, valid: (output: JsonObject) => boolean | Promise<boolean>): Usable =>
  ({ output, failure }) =>
    failure ? Date.now() - failure.at < negativeMs : valid(output);

function stableFailure(error: unknown): Failure | undefined {
  if (!(error instanceof MillraceError) || !STABLE.has(error.code)) return undefined;
  const { code, message, details } = error;
  if (details.elsewhere === true || details.unsent === true) return undefined;
  return { code, message, at: Date.now(), ...(details.fields !== undefined && { fields: details.fields as never }) };
}

const aboutOf = ({ pipeline, stage }: ExactRequest, error: unknown) => ({ pipeline, stage, error: messageOf(error) });
