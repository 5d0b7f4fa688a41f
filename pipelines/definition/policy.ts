import { didYouMean } from '../did-you-mean.js';
import { type Duration, durationMs, timerMs } from '../duration.js';
import { ERRORS, type ErrorCode } from '../errors.js';
import { type HedgePolicy, PRIORITIES, type Priority, type StagePolicy } from '../plan/plan.js';
import { invalid, unknownOption } from './invalid.js';

/** A stage's policy as the author writes it. Omitted fields default to the stage kind's, then to `DEFAULT_POLICY`. */
export interface PolicyOptions {
  readonly retry?: {
    /** Maximum attempts, including the first; 1 to 100. Default 6. */
    readonly attempts?: number;
    readonly backoff?: {
      /** First wait. Default 200 ms. */
      readonly initial?: Duration;
      /** Multiplier from one wait to the next, 1 to 10. Default 2.5. */
      readonly factor?: number;
      /** Maximum wait. Default 10 s, or `initial` if that is longer. */
      readonly max?: Duration;
      /** Random share of each wait, 0 to 1. Default 0.2. */
      readonly jitter?: number;
    };
    /** Error codes that are retried; default all that are retryable. */
    readonly on?: readonly ErrorCode[];
  };
  readonly timeout?: {
    /** One attempt, from its start. Default 60 s. */
    readonly attempt?: Duration;
    /** All attempts with the waits between. Default 5 minutes, or `attempt` if that is longer. Then `STAGE_TIMEOUT`. */
    readonly total?: Duration;
    /** Maximum wait for a slot at a model server. Then `QUEUE_TIMEOUT`. */
    readonly queue?: Duration;
    /** Maximum time until the first text or audio. Then `FIRST_CHUNK_TIMEOUT`. Needs a server that streams. */
    readonly firstChunk?: Duration;
    /** Maximum gap between chunks after the first. Then `IDLE_TIMEOUT`. */
    readonly idle?: Duration;
  };
  /** `queued`: an activity on its task queue. `inline`: part of a segment in the worker that runs the workflow. */
  readonly execution?: 'queued' | 'inline';
  /** Order in which waiting calls are served. Default: the run's. */
  readonly priority?: Priority;
  /**
   * Maximum wait for a server that is away before `fallback`, `degrade` or `optional` applies; 0: no wait. Default
   * 15 s, for an interactive stage 5 s.
   */
  readonly patience?: Duration;
  /** A second call when the first is late: after a fixed time, or after a percentile of the pool's recent latencies. */
  readonly hedge?: { readonly after: Duration } | { readonly percentile: number };
}

/**
 * General defaults. Six attempts with these waits (0.2, 0.5, 1.25, 3.1, 7.8 s: 12.9 s together) outlast transient
 * failures; waiting for a server that is away is separate and bounded by the stage's total time only. A fifth of each
 * wait is random so that calls that failed together do not retry together.
 */
export const DEFAULT_POLICY: StagePolicy = {
  retry: { attempts: 6, initialMs: 200, factor: 2.5, maxMs: 10_000, jitter: 0.2 },
  timeout: { attemptMs: 60_000, totalMs: 300_000 },
  execution: 'queued',
};

/**
 * How long a stage with an alternative waits for a server that is away: long enough for a restart with local weights,
 * and short enough that the caller of an interactive run is still waiting.
 */
export const DEFAULT_PATIENCE_MS = { interactive: 5_000, other: 15_000 };

/** Maximum attempts: beyond it a retry policy hides an outage instead of bridging it. */
const MAX_ATTEMPTS = 100;
/** A hedge below the median doubles the load; a sample window cannot estimate percentiles above the 99.9th. */
const PERCENTILE = { least: 50, most: 99.9 };

/** @param hasAlternative the stage has a fallback or a degrade rung, or is optional */
export function resolvePolicy(
  options: PolicyOptions,
  kind: PolicyOptions,
  where: string,
  hasAlternative = false,
): StagePolicy {
  checkKeys(options, where);
  const reader = new Reader(options, kind, where);
  const { retry, timeout, execution } = DEFAULT_POLICY;
  const attempts = reader.number('retry.attempts', (o) => o.retry?.attempts, retry.attempts, 1, MAX_ATTEMPTS);
  if (!Number.isInteger(attempts)) throw invalid(`${where}.retry.attempts`, `must be a whole number, not ${attempts}`);
  const attemptMs = reader.time('timeout.attempt', (o) => o.timeout?.attempt) ?? timeout.attemptMs;
  const totalMs =
    reader.time('timeout.total', (o) => o.timeout?.total, durationMs) ?? Math.max(timeout.totalMs, attemptMs);
  const queueMs = reader.time('timeout.queue', (o) => o.timeout?.queue);
  const firstChunkMs = reader.time('timeout.firstChunk', (o) => o.timeout?.firstChunk);
  const idleMs = reader.time('timeout.idle', (o) => o.timeout?.idle);
  const initialMs = reader.time('retry.backoff.initial', (o) => o.retry?.backoff?.initial) ?? retry.initialMs;
  const maxMs = reader.time('retry.backoff.max', (o) => o.retry?.backoff?.max) ?? Math.max(retry.maxMs, initialMs);
  reader.order('timeout.attempt', attemptMs, 'timeout.total', totalMs);
  reader.order('timeout.queue', queueMs, 'timeout.total', totalMs);
  reader.order('timeout.firstChunk', firstChunkMs, 'timeout.attempt', attemptMs);
  reader.order('timeout.idle', idleMs, 'timeout.attempt', attemptMs);
  reader.order('retry.backoff.initial', initialMs, 'retry.backoff.max', maxMs);
  const on = options.retry?.on ?? kind.retry?.on;
  if (on !== undefined) checkCodes(on, where);
  const hedge = options.hedge ?? kind.hedge;
  const priority = options.priority ?? kind.priority;
  if (priority !== undefined && !PRIORITIES.includes(priority)) {
    throw invalid(`${where}.priority`, `must be one of ${PRIORITIES.join(', ')}, not "${priority}"`);
  }
  const usual = priority === 'interactive' ? DEFAULT_PATIENCE_MS.interactive : DEFAULT_PATIENCE_MS.other;
  const patienceMs = reader.time('patience', (o) => o.patience, orZero) ?? Math.min(usual, totalMs);
  if (options.patience !== undefined && !hasAlternative) {
    throw invalid(
      `${where}.patience`,
      'has no effect on a stage without fallback, degrade or optional, which always waits',
    );
  }
  if (hasAlternative) reader.order('patience', patienceMs, 'timeout.total', totalMs);
  const chosen = options.execution ?? kind.execution ?? execution;
  if (chosen !== 'queued' && chosen !== 'inline') {
    throw invalid(`${where}.execution`, `must be "queued" or "inline", not "${chosen}"`);
  }
  return {
    retry: {
      attempts,
      initialMs,
      factor: reader.number('retry.backoff.factor', (o) => o.retry?.backoff?.factor, retry.factor, 1, 10),
      maxMs,
      jitter: reader.number('retry.backoff.jitter', (o) => o.retry?.backoff?.jitter, retry.jitter as number, 0, 1),
      ...(on !== undefined && { on }),
    },
    timeout: {
      attemptMs,
      totalMs,
      ...(queueMs !== undefined && { queueMs }),
      ...(firstChunkMs !== undefined && { firstChunkMs }),
      ...(idleMs !== undefined && { idleMs }),
    },
    execution: chosen,
    ...(priority !== undefined && { priority }),
    ...(hedge !== undefined && { hedge: resolveHedge(hedge, attemptMs, reader) }),
    ...(hasAlternative && { patienceMs }),
  };
}

/** A duration that may be 0. */
const orZero = (given: Duration, field: string): number =>
  given === 0 || /^0(\.0+)?(ms|s|m|h|d)$/.test(String(given)) ? 0 : durationMs(given, field);

function resolveHedge(hedge: NonNullable<PolicyOptions['hedge']>, attemptMs: number, reader: Reader): HedgePolicy {
  const given = Object.keys(hedge).sort().join(', ');
  if (given === 'percentile') {
    const { least, most } = PERCENTILE;
    const percentile = (hedge as { percentile: number }).percentile;
    return { percentile: reader.number('hedge.percentile', () => percentile, percentile, least, most) };
  }
  if (given !== 'after') throw invalid(`${reader.where}.hedge`, `takes "after" or "percentile", not "${given}"`);
  const afterMs = timerMs((hedge as { after: Duration }).after, `${reader.where}.hedge.after`);
  reader.order('hedge.after', afterMs, 'timeout.attempt', attemptMs);
  return { afterMs };
}

function checkCodes(on: readonly string[], where: string): void {
  if (on.length === 0) throw invalid(`${where}.retry.on`, 'is empty: nothing would be retried; use attempts: 1');
  for (const code of on) {
    if (!Object.hasOwn(ERRORS, code)) {
      const meant = didYouMean(code, Object.keys(ERRORS));
      throw invalid(`${where}.retry.on`, `"${code}" is not a code of the error table${meant}`);
    }
    if (ERRORS[code as ErrorCode].retry === 'never') {
      throw invalid(`${where}.retry.on`, `"${code}" fails the same way each time and is never retried`);
    }
  }
}

const KEYS: Readonly<Record<'retry' | 'retry.backoff' | 'timeout', readonly string[]>> = {
  retry: ['attempts', 'backoff', 'on'],
  'retry.backoff': ['initial', 'factor', 'max', 'jitter'],
  timeout: ['attempt', 'total', 'queue', 'firstChunk', 'idle'],
};

/** Rejects misspelled keys, which would otherwise be ignored silently for JavaScript authors. */
function checkKeys({ retry, timeout }: PolicyOptions, where: string): void {
  for (const [field, given] of [
    ['retry', retry],
    ['retry.backoff', retry?.backoff],
    ['timeout', timeout],
  ] as const) {
    if (given === undefined) continue;
    const known = KEYS[field];
    if (typeof given !== 'object' || given === null) {
      throw invalid(`${where}.${field}`, `must be an object with ${known.join(', ')}`);
    }
    const unknown = Object.keys(given).find((key) => !known.includes(key));
    if (unknown !== undefined) throw unknownOption(`${where}.${field}`, unknown, known);
  }
}

type Pick<T> = (from: PolicyOptions) => T | undefined;

class Reader {
  constructor(
    readonly options: PolicyOptions,
    readonly kind: PolicyOptions,
    readonly where: string,
  ) {}

  /** Parses the author's duration with `read`; a kind's default may exceed a timer's limit, as approve's does. */
  time(field: string, pick: Pick<Duration>, read = timerMs): number | undefined {
    const given = pick(this.options);
    if (given !== undefined) return read(given, `${this.where}.${field}`);
    const usual = pick(this.kind);
    return usual === undefined ? undefined : durationMs(usual, `${this.where}.${field}`);
  }

  number(field: string, pick: Pick<number>, otherwise: number, least: number, most: number): number {
    const given = pick(this.options) ?? pick(this.kind) ?? otherwise;
    if (Number.isFinite(given) && given >= least && given <= most) return given;
    throw invalid(`${this.where}.${field}`, `must be between ${least} and ${most}, not ${given}`);
  }

  order(field: string, ms: number | undefined, limitField: string, limitMs: number): void {
    if (ms === undefined || ms <= limitMs) return;
    throw invalid(`${this.where}.${field}`, `${ms} ms is longer than ${limitField}, ${limitMs} ms`);
  }
}
