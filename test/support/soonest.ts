import { shortest, TRIES } from '../../activities/connectors/contract/expect.js';

/**
 * The shortest time that some work takes, in milliseconds, of at most three tries: a machine may stand still during one of them,
 * and what always takes long is late in all. The first try that is soon enough is the last.
 */
export const soonest = (enoughMs: number, work: () => Promise<unknown>): Promise<number> =>
  shortest(enoughMs, async () => {
    const started = performance.now();
    await work();
    return performance.now() - started;
  });

/** The same for a whole test that says how soon something is: it is tried again where it was late. */
export const LATE_ONCE = { retry: TRIES - 1 } as const;
