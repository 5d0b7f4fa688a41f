import { type Duration, durationMs } from '../duration.js';
import { MillraceError } from '../errors.js';
import type { StagePolicy } from '../plan/plan.js';

/** A stage's policy as the author writes it; what is left out comes from the stage kind, then from `DEFAULT_POLICY`. */
export interface PolicyOptions {
  readonly retry?: {
    readonly attempts?: number;
    readonly backoff?: { readonly initial?: Duration; readonly factor?: number; readonly max?: Duration };
  };
  readonly timeout?: { readonly attempt?: Duration; readonly total?: Duration };
  readonly execution?: 'queued' | 'inline';
}

/**
 * The general defaults. Six attempts with these waits (0.2, 0.5, 1.25, 3.1, 7.8 s: 12.9 s together) outlast the restart of
 * a model server that takes about ten seconds to load its models.
 */
export const DEFAULT_POLICY: StagePolicy = {
  retry: { attempts: 6, initialMs: 200, factor: 2.5, maxMs: 10_000 },
  timeout: { attemptMs: 60_000, totalMs: 300_000 },
  execution: 'queued',
};

/** Most attempts an author may ask for: beyond it a retry policy hides an outage instead of bridging it. */
const MAX_ATTEMPTS = 100;

export function resolvePolicy(options: PolicyOptions, kind: PolicyOptions, where: string): StagePolicy {
  const fallback = DEFAULT_POLICY;
  const time = (field: string, pick: (from: PolicyOptions) => Duration | undefined, otherwise: number) => {
    const given = pick(options) ?? pick(kind);
    return given === undefined ? otherwise : durationMs(given, `${where}.${field}`);
  };
  const number = (
    field: string,
    pick: (from: PolicyOptions) => number | undefined,
    otherwise: number,
    least: number,
    most: number,
  ) => {
    const given = pick(options) ?? pick(kind) ?? otherwise;
    if (!Number.isFinite(given) || given < least || given > most) {
      fail(`${where}.${field}`, `must be between ${least} and ${most}, not ${given}`);
    }
    return given;
  };
  const attempts = number('retry.attempts', (o) => o.retry?.attempts, fallback.retry.attempts, 1, MAX_ATTEMPTS);
  if (!Number.isInteger(attempts)) fail(`${where}.retry.attempts`, `must be a whole number, not ${attempts}`);
  const attemptMs = time('timeout.attempt', (o) => o.timeout?.attempt, fallback.timeout.attemptMs);
  const totalMs = time('timeout.total', (o) => o.timeout?.total, Math.max(fallback.timeout.totalMs, attemptMs));
  if (attemptMs > totalMs)
    fail(`${where}.timeout.attempt`, `${attemptMs} ms is longer than timeout.total, ${totalMs} ms`);
  const initialMs = time('retry.backoff.initial', (o) => o.retry?.backoff?.initial, fallback.retry.initialMs);
  const maxMs = time('retry.backoff.max', (o) => o.retry?.backoff?.max, Math.max(fallback.retry.maxMs, initialMs));
  if (initialMs > maxMs) {
    fail(`${where}.retry.backoff.initial`, `${initialMs} ms is longer than retry.backoff.max, ${maxMs} ms`);
  }
  return {
    retry: {
      attempts,
      initialMs,
      factor: number('retry.backoff.factor', (o) => o.retry?.backoff?.factor, fallback.retry.factor, 1, 10),
      maxMs,
    },
    timeout: { attemptMs, totalMs },
    execution: options.execution ?? kind.execution ?? fallback.execution,
  };
}

function fail(field: string, message: string): never {
  throw new MillraceError('INVALID_PIPELINE', `${field} ${message}`, { fields: [{ field, message }] });
}
