import type { Endpoint } from './endpoint.js';

/** First and longest pause between two looks at an endpoint that cannot be reached, in milliseconds. */
const PAUSE_MS = { first: 50, longest: 500 };
/** Share of a pause that is random, so that the workers of one outage do not ask together. */
const JITTER = 0.25;
/** Longest wait for an answer: a machine that is gone sends none. */
const ANSWER_MS = 2_000;
/** An endpoint that no call has wanted for this time is not looked at any more. */
const WANTED_MS = 30_000;

export interface RecoveryParts {
  /** Asks the server what it has, which costs it nothing. Rejects with a `MillraceError`. */
  readonly ask: (endpoint: Endpoint, ms: number) => Promise<unknown>;
  readonly closing: AbortSignal;
  /** Called when an endpoint's state has changed. */
  readonly changed: () => void;
}

/**
 * Learns that an endpoint which could not be reached answers again, so that no call is spent on finding out: those who wait for
 * it go on within a second, and not one by one.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #looking = new Set<Endpoint>();
  #wantedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /** A call has come. Told for each, so that it costs nothing while nothing is away. */
  wanted(endpoints: readonly Endpoint[]): void {
    this.#wantedAt = performance.now();
    for (const endpoint of endpoints) {
      if (endpoint.away === undefined || this.#looking.has(endpoint)) continue;
      this.#looking.add(endpoint);
      this.#lookIn(PAUSE_MS.first, endpoint);
    }
  }

  #lookIn(ms: number, endpoint: Endpoint): void {
    const timer = setTimeout(() => void this.#look(ms, endpoint), ms * (1 + JITTER * (2 * Math.random() - 1)));
    timer.unref();
  }

  /** Never rejects. */
  async #look(pauseMs: number, endpoint: Endpoint): Promise<void> {
    const { ask, closing, changed } = this.#parts;
    const wanted = performance.now() - this.#wantedAt < WANTED_MS;
    // What is known of an endpoint that nobody wants grows old: the next call finds out.
    const there =
      closing.aborted || !wanted || endpoint.away === undefined || (await answers(ask(endpoint, ANSWER_MS)));
    if (!there) return this.#lookIn(Math.min(pauseMs * 2, PAUSE_MS.longest), endpoint);
    this.#looking.delete(endpoint);
    endpoint.reachable();
    changed();
  }
}

/** Whether a server is there: one that refuses what it was asked is. */
async function answers(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return typeof code === 'string' && code !== 'BACKEND_UNAVAILABLE' && code !== 'BACKEND_TIMEOUT';
  }
}
