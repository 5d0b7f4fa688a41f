import { limited } from '../runtime/limited.js';
import type { RunDeps } from './deps.js';
import type { EndingRun, RunEnd } from './outcome.js';

/**
 * Delay of the first long poll for a run whose worker sends the result, in milliseconds. A long poll costs Temporal as much as a
 * signal.
 */
const QUIET_MS = 1_000;

/**
 * Resolves when Temporal should be polled for the end of a run whose worker may send the result, or `signal` has aborted, with the
 * rest of `ms`.
 * @param noResult resolves when the worker has no result to send
 */
export function quietFor(ms: number, signal: AbortSignal, noResult: Promise<unknown>): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve(Math.max(0, ms - (performance.now() - began)));
    };
    const timer = setTimeout(end, Math.min(ms, QUIET_MS));
    signal.addEventListener('abort', end, { once: true });
    void noResult.then(end);
    if (signal.aborted) end();
  });
}

/**
 * Waits up to `waitMs` for a run's end. Undefined if it has not ended by then, if `gone` aborts, or if Temporal is unavailable: the run
 * continues and can be requested by its id.
 */
export async function waitForRun(
  { ends, logger }: Pick<RunDeps, 'ends' | 'logger'>,
  run: EndingRun,
  waitMs: number,
  gone: AbortSignal,
): Promise<RunEnd | undefined> {
  if (waitMs === 0) return undefined;
  try {
    return await limited(waitMs, gone, (signal) => ends.of(run, signal));
  } catch (error) {
    const expected = gone.aborted || (error as { name?: unknown } | null)?.name === 'TimeoutError';
    if (!expected) logger.warn({ runId: run.id, err: error }, 'waiting for a run broke off');
    return undefined;
  }
}
