import type { Endpoint } from './endpoint.js';

/** First and longest pause between two probes of an endpoint that cannot be reached, in milliseconds. */
const PAUSE_MS = { first: 50, longest: 500 };
/** Share of a pause that is randomised, so that the workers of one outage do not probe together. */
const JITTER = 0.25;
/** Longest wait for an answer: a machine that is gone sends none. */
const ANSWER_MS = 2_000;
/** Probing stops when no call has needed the endpoint for this time. */
const WANTED_MS = 30_000;

export interface RecoveryParts {
  /** Queries the server's models without running one. Rejects with a `MillraceError`. */
  readonly probe: (endpoint: Endpoint, ms: number) => Promise<unknown>;
  /** Called with an endpoint that answers again, before it gets traffic. */
  readonly back: (endpoint: Endpoint) => void;
  readonly closing: AbortSignal;
  /** Called when an endpoint's state has changed. */
  readonly changed: () => void;
}

/**
 * Detects that an unreachable endpoint answers again without spending a call on it: all waiting calls continue within a
 * second, not one by one.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #probing = new Set<Endpoint>();
  #wantedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /** A call has arrived. Runs for every call, so it does nothing while no endpoint is away. */
  wanted(endpoints: readonly Endpoint[]): void {
    this.#wantedAt = performance.now();
    for (const endpoint of endpoints) {
      if (endpoint.away === undefined || this.#probing.has(endpoint)) continue;
      this.#probing.add(endpoint);
      this.#probeIn(PAUSE_MS.first, endpoint);
    }
  }

  #probeIn(ms: number, endpoint: Endpoint): void {
    const timer = setTimeout(() => void this.#probe(ms, endpoint), ms * (1 + JITTER * (2 * Math.random() - 1)));
    timer.unref();
  }

  /** Never rejects. */
  async #probe(pauseMs: number, endpoint: Endpoint): Promise<void> {
    const { probe, back, closing, changed } = this.#parts;
    const wanted = performance.now() - this.#wantedAt < WANTED_MS;
    // An endpoint's state without demand becomes stale: the next call tests it.
    const there =
      closing.aborted || !wanted || endpoint.away === undefined || (await answers(probe(endpoint, ANSWER_MS)));
    if (!there) return this.#probeIn(Math.min(pauseMs * 2, PAUSE_MS.longest), endpoint);
    this.#probing.delete(endpoint);
    if (wanted && endpoint.away !== undefined) back(endpoint);
    endpoint.reachable();
    changed();
  }
}

/** Whether a server is reachable: a refusal of the query counts. */
async function answers(reply: Promise<unknown>): Promise<boolean> {
  try {
    await reply;
    return true;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return typeof code === 'string' && code !== 'BACKEND_UNAVAILABLE' && code !== 'BACKEND_TIMEOUT';
  }
}
