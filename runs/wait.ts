import { limited } from '../runtime/limited.js';
import type { RunDeps } from './deps.js';
import type { EndingRun, RunEnd } from './outcome.js';

/**
 * How long nobody asks Temporal for the end of a run whose worker tells it first, in milliseconds: a question that Temporal holds
 * open costs its server as much as a signal.
 */
const QUIET_MS = 1_000;

/**
 * Resolves when it is time to ask Temporal for the end of a run that a worker may tell first, or nobody waits any more, with what is
 * left of `ms`.
 * @param untold resolves when the worker has said that it tells nothing
 */
export function quietFor(ms: number, signal: AbortSignal, untold: Promise<unknown>): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve(Math.max(0, ms - (performance.now() - began)));
    };
    const timer = setTimeout(end, Math.min(ms, QUIET_MS));
    signal.addEventListener('abort', end, { once: true });
    void untold.then(end);
    if (signal.aborted) end();
  });
}

/**
 * Waits up to `waitMs` for a run's end. Undefined when it has not ended by then, when `gone` is aborted, or when Temporal stops
 * answering: the run goes on and has an id to ask for.
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
