import { MillraceError } from '../../pipelines/errors.js';
import type { StagePlan } from '../../pipelines/plan/index.js';
import type { Clock } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';

/**
 * Runs an attempt that has `leftMs` of its stage's time left. Rejects as soon as `signal` aborts or the time is over, even if the work
 * ignores its own signal: a model server must not hold a run beyond its deadline. The work's signal aborts with `STAGE_TIMEOUT` on
 * timeout, so that a pool can distinguish a hanging server from a disconnected caller.
 */
export async function withinAttempt<T>(
  clock: Clock,
  { policy: { timeout } }: StagePlan,
  leftMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal, endsAt: number) => Promise<T>,
): Promise<T> {
  const { attemptMs, totalMs } = timeout;
  const limitMs = Math.min(attemptMs, Math.max(0, leftMs));
  const { own, release } = linkedAbort(signal);
  const limits = `limits: ${attemptMs} ms an attempt, ${totalMs} ms in all`;
  const expire = () => own.abort(new MillraceError('STAGE_TIMEOUT', `timed out (${limits})`));
  const expiring = clock.timer(limitMs, expire);
  try {
    return await new Promise<T>((resolve, reject) => {
      own.signal.addEventListener('abort', () => reject(own.signal.reason), { once: true });
      work(own.signal, performance.now() + limitMs).then(resolve, reject);
    });
  } finally {
    expiring.clear();
    release();
  }
}
