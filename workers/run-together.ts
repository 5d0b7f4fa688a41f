import { LONGEST_TIMER_MS } from '../pipelines/duration.js';

/** What runs until it is told to stop, such as a worker of Temporal's SDK. */
export interface Running {
  run(): Promise<void>;
  /** Throws if it has ended by itself. */
  shutdown(): void;
  /** The SDK's state of a worker. */
  getState?(): string;
}

/** Time beyond the grace of stages, in milliseconds, for a worker to report what its stages have done. */
const MARGIN_MS = 5_000;
/** How often the states of the workers are read, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Runs workers until one of them ends, then stops the others and waits for their stages, for `graceMs` and a margin at most. This also ends
 * a worker that stops by itself and waits for ever, as the SDK's does for a task whose completion its core has refused. Throws the first
 * error, and only then: the connection can be closed when all have ended, and the error of closing it earlier would replace the first one.
 */
export async function runTogether(workers: readonly Running[], graceMs: number): Promise<void> {
  const longestMs = Math.min(graceMs + MARGIN_MS, LONGEST_TIMER_MS);
  const failures: { readonly error: unknown }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let looks: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    const all = workers.map(async (worker) => {
      try {
        await worker.run();
      } catch (error) {
        failures.push({ error });
        timer ??= setTimeout(resolve, longestMs);
      } finally {
        stopAll(workers);
      }
    });
    void Promise.all(all).then(() => resolve());
    looks = setInterval(() => {
      if (timer !== undefined || !workers.some(isStopping)) return;
      stopAll(workers);
      timer = setTimeout(() => {
        failures.push({ error: new Error(STUCK) });
        resolve();
      }, longestMs);
    }, LOOK_MS);
  });
  clearInterval(looks);
  clearTimeout(timer);
  const [first] = failures;
  if (first) throw first.error;
}

const STUCK = 'a worker has stopped and does not end; Temporal gives the tasks that it has to another worker';

/** Whether a worker takes no more tasks, whoever has stopped it. */
function isStopping(worker: Running): boolean {
  const state = worker.getState?.();
  return state !== undefined && state !== 'INITIALIZED' && state !== 'RUNNING';
}

/** Stops those that still run. */
export function stopAll(workers: readonly Running[]): void {
  for (const worker of workers) {
    try {
      worker.shutdown();
    } catch {
      // The worker has ended by itself.
    }
  }
}
