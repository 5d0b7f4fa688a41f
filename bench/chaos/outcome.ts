/** How a run ended. `lost`: with neither a result nor a code, or with another run's result; `hung`: not in time. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly ms: number /** When the client got the result. */; readonly at: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly ms: number }
  | { readonly kind: 'lost' | 'hung'; readonly message: string };

/** Deadline of every pipeline of the suite. */
export const DEADLINE_MS = 180_000;

/**
 * How much later than its deadline a run may end: a worker that is killed at the deadline holds the workflow task for
 * its timeout of ten seconds; the next worker takes it, replays and may lose it once more.
 */
const SLACK_MS = 30_000;
const LIMIT_MS = DEADLINE_MS + SLACK_MS;

/** The outcome of a run, or `hung` if it does not end in time. */
export async function within(outcome: (late: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => {
      over.abort();
      resolve({ kind: 'hung', message: `not ended ${LIMIT_MS} ms after its start` });
    }, LIMIT_MS);
  });
  try {
    return await Promise.race([outcome(over.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
