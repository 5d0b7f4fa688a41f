/** What runs until it is told to stop, such as a worker of Temporal's SDK. */
export interface Running {
  run(): Promise<void>;
  /** Throws if it has ended by itself. */
  shutdown(): void;
}

/** Time beyond the grace of stages, in milliseconds, for a worker to report what its stages have done. */
const MARGIN_MS = 5_000;

/**
 * Runs workers until one of them ends, then stops the others and waits for their stages, after a failure for `graceMs` and a margin at
 * most. Throws the first error, and only then: the connection can be closed when all have ended, and the error of closing it earlier
 * would take the place of the first one.
 */
export async function runTogether(workers: readonly Running[], graceMs: number): Promise<void> {
  const failures: { readonly error: unknown }[] = [];
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    const all = workers.map(async (worker) => {
      try {
        await worker.run();
      } catch (error) {
        failures.push({ error });
        timer ??= setTimeout(resolve, graceMs + MARGIN_MS);
      } finally {
        stopAll(workers);
      }
    });
    void Promise.all(all).then(() => resolve());
  });
  clearTimeout(timer);
  const [first] = failures;
  if (first) throw first.error;
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
