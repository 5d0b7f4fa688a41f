import { type ErrorCode, errorRow } from './errors.js';
import type { RetryPolicy } from './plan/plan.js';

/** Whether a failure is tried again as far as its code goes: the error table allows it, and so does the policy's `on`. */
export const mayRetry = ({ on }: Pick<RetryPolicy, 'on'>, code: ErrorCode): boolean =>
  errorRow(code).retry !== 'never' && (on === undefined || on.includes(code));

/**
 * The wait after a failed attempt, in whole milliseconds, at least one. `attempt` is the one that failed, from 1.
 *
 * What a server asks for (`retryAfterMs`) counts instead of the policy's backoff and is never undercut: the jitter only
 * adds to it, so that those whom it sent away together do not come back together. It may be longer than the time that the
 * stage has left: the host then ends the stage at once, which leaves that time to its fallback.
 *
 * @param random a number in [0, 1): 0.5 is the wait without jitter, or the middle of what it adds
 */
export function nextDelayMs(
  policy: Pick<RetryPolicy, 'initialMs' | 'factor' | 'maxMs' | 'jitter'>,
  attempt: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const { initialMs, factor, maxMs, jitter = 0 } = policy;
  // A server that says 0 has no opinion.
  const asked = retryAfterMs !== undefined && retryAfterMs > 0 ? retryAfterMs : undefined;
  const delay =
    asked === undefined
      ? Math.min(initialMs * factor ** (attempt - 1), maxMs) * (1 + jitter * (2 * random - 1))
      : asked * (1 + jitter * random);
  return Math.max(1, Math.round(delay));
}
