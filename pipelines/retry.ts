import { type ErrorDetails, errorRow, isErrorCode, isWaitedFor } from './errors.js';
import type { RetryPolicy } from './plan/plan.js';

/** Whether a failure's code allows a retry, by the error table and by the policy's `on`. */
export function mayRetry(
  { on }: Pick<RetryPolicy, 'on'>,
  { code, details }: { readonly code: string; readonly details: ErrorDetails },
): boolean {
  if (!isErrorCode(code) || details.final === true) return false;
  return (errorRow(code).retry !== 'never' || details.elsewhere === true) && (on === undefined || on.includes(code));
}

/** Minimum and maximum wait before a stage checks again for a server that is away, and the random share of it. */
const AWAY = { leastMs: 100, mostMs: 1_000, jitter: 0.25 };

/** State of a stage's earlier attempts that its next attempt needs. */
export interface Tried {
  /** Attempts in which no model received a call. */
  readonly waits: number;
  /**
   * Time waited for a server that is away, in milliseconds, since the last call, or the last attempt that was lost or whose worker stopped. Above
   * 0, the attempt before has ended by waiting: followers know that the stage has started, and have no text of it.
   */
  readonly waitedMs: number;
  /** The endpoint at which the last call failed. */
  readonly avoid?: string;
  /** The wait was for a model that is being loaded. */
  readonly loading?: true;
  /** The last attempt had not opened its streams, nor had one before it: nothing of them is committed. */
  readonly unstreamed?: true;
}

export const UNTRIED: Tried = { waits: 0, waitedMs: 0 };

/** What follows a failed attempt: another one after `delayMs`, or the stage's failure if that is absent. */
export interface Next {
  readonly delayMs?: number;
  readonly tried: Tried;
}

/**
 * Decides what follows a failure. There are two budgets: the wait for a server or a state store that is away is limited by the stage's
 * total time or by `patienceMs`; calls that were made count against the policy's attempts.
 *
 * @param calls calls made so far, including this one if it was made
 * @param random a number in [0, 1)
 */
export function nextAttempt(
  retry: RetryPolicy,
  patienceMs: number | undefined,
  error: { readonly code: string; readonly details: ErrorDetails },
  calls: number,
  { waits, waitedMs, avoid }: Tried,
  random: number,
): Next {
  const { retryAfterMs, endpoint = avoid, loading, unstreamed } = error.details;
  if (!isWaitedFor(error)) {
    const tried = {
      waits,
      waitedMs: 0,
      ...(endpoint !== undefined && { avoid: endpoint }),
      ...(unstreamed && { unstreamed }),
    };
    if (!mayRetry(retry, error) || calls >= retry.attempts) return { tried };
    return { delayMs: nextDelayMs(retry, Math.max(1, calls), retryAfterMs, random), tried };
  }
  const left = patienceMs === undefined ? Number.POSITIVE_INFINITY : patienceMs - waitedMs;
  const grown = Math.min(Math.max(AWAY.leastMs, waitedMs), AWAY.mostMs);
  const spread = Math.max(grown, retryAfterMs ?? 0) * (1 + AWAY.jitter * (2 * random - 1));
  const delayMs = Math.max(1, Math.round(Math.min(spread, left)));
  const tried = {
    waits: waits + 1,
    waitedMs: waitedMs + delayMs,
    ...(avoid !== undefined && { avoid }),
    ...(loading && { loading }),
    ...(unstreamed && { unstreamed }),
  };
  return left <= 0 ? { tried } : { delayMs, tried };
}

/**
 * The wait after a failed attempt, in whole milliseconds, at least one. `attempt` is the one that failed, from 1.
 *
 * A wait requested by a server (`retryAfterMs`) replaces the policy's backoff and is never shortened: jitter only adds
 * to it, so that callers rejected together do not return together. It may exceed the stage's remaining time; the host
 * then ends the stage immediately, which leaves that time to its fallback.
 *
 * @param random a number in [0, 1): 0.5 is the wait without jitter, or the middle of what jitter adds
 */
export function nextDelayMs(
  policy: Pick<RetryPolicy, 'initialMs' | 'factor' | 'maxMs' | 'jitter'>,
  attempt: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const { initialMs, factor, maxMs, jitter = 0 } = policy;
  // A server that sends 0 states no preference.
  const requestedMs = retryAfterMs !== undefined && retryAfterMs > 0 ? retryAfterMs : undefined;
  const delay =
    requestedMs === undefined
      ? Math.min(initialMs * factor ** (attempt - 1), maxMs) * (1 + jitter * (2 * random - 1))
      : requestedMs * (1 + jitter * random);
  return Math.max(1, Math.round(delay));
}
