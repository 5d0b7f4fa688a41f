/**
 * The shortest time that some work takes, in milliseconds, of at most three tries: a machine may stand still during one of them,
 * and what always takes long is late in all. The first try that is soon enough is the last.
 */
export async function soonest(enoughMs: number, work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3 && least >= enoughMs; tries++) {
    const started = performance.now();
    await work();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

/** The same for a whole test that says how soon something is: it is tried again where it was late. */
export const LATE_ONCE = { retry: 2 } as const;
