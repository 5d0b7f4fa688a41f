import { setTimeout as sleep } from 'node:timers/promises';
import { limited } from '../runtime/limited.js';
import type { RunDeps } from './deps.js';
import { fromTemporal } from './orchestrator.js';
import type { EndingRun, RunEnd } from './outcome.js';

/**
 * Delay of the first long poll for a run whose worker sends the result, in milliseconds. A long poll costs Temporal as much as a
 * signal.
 */
const QUIET_MS = 1_000;

/** How long Temporal may be away before a wait ends, in milliseconds, from the first failure: its client has tried again for some 15 s by then. */
const AWAY_MS = 60_000;
/** Longest pause before the next try meanwhile, in milliseconds. */
const AGAIN_MS = 1_000;

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
 * Waits up to `waitMs` for a run's end, also while Temporal is unavailable for up to a minute. Undefined if it has not ended by then, if `gone`
 * aborts, or earlier if Temporal cannot say: the run continues and can be requested by its id.
 */
export async function waitForRun(
  { ends, logger }: Pick<RunDeps, 'ends' | 'logger'>,
  run: EndingRun,
  waitMs: number,
  gone: AbortSignal,
): Promise<RunEnd | undefined> {
  const until = performance.now() + waitMs;
  let backBy: number | undefined;
  for (let left = waitMs; left > 0; left = until - performance.now()) {
    const began = performance.now();
    try {
      return await limited(left, gone, (signal) => ends.of(run, signal));
    } catch (error) {
      if (gone.aborted || (error as { name?: unknown } | null)?.name === 'TimeoutError') return undefined;
      const now = performance.now();
      // A wait that has lasted longer breaks off for the first time.
      if (backBy === undefined || now - began > AWAY_MS) backBy = now + AWAY_MS;
      if (now >= backBy || fromTemporal(error, run.id).code !== 'ORCHESTRATOR_UNAVAILABLE') {
        logger.warn({ runId: run.id, err: error }, 'waiting for a run broke off');
        return undefined;
      }
      const pauseMs = Math.max(0, Math.min(AGAIN_MS, until - now));
      await sleep(pauseMs, undefined, { signal: gone }).catch(() => undefined);
    }
  }
  return undefined;
}
