import type { Endpoint } from './endpoint.js';

interface Waiter {
  grant(endpoint: Endpoint): void;
}

/**
 * Hands out places at endpoints: at the one with the fewest calls in flight, first come first served when all are taken.
 * An endpoint that cools is passed over while another one is up; one under repair is waited for.
 */
export class Turns {
  readonly #endpoints: readonly Endpoint[];
  readonly #waiting: Waiter[] = [];
  #wakeUp: NodeJS.Timeout | undefined;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
  }

  /** A place at an endpoint, to be given back with `release`. Rejects with the signal's reason when it aborts. */
  acquire(signal: AbortSignal): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const waiter: Waiter = {
        grant(endpoint) {
          signal.removeEventListener('abort', leave);
          resolve(endpoint);
        },
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
      this.next();
    });
  }

  release(endpoint: Endpoint): void {
    endpoint.outstanding -= 1;
    this.next();
  }

  /** Serves who waits, as far as there is room. Called whenever an endpoint's state has changed. */
  next(): void {
    clearTimeout(this.#wakeUp);
    for (let endpoint = this.#best(); endpoint && this.#waiting.length > 0; endpoint = this.#best()) {
      endpoint.outstanding += 1;
      endpoint.usedAt = performance.now();
      this.#waiting.shift()?.grant(endpoint);
    }
    if (this.#waiting.length === 0) return;
    const times = this.#endpoints.flatMap((endpoint) => endpoint.blockedUntil()?.time ?? []);
    if (times.length > 0) {
      this.#wakeUp = setTimeout(() => this.next(), Math.max(1, Math.min(...times) - performance.now()));
    }
  }

  #best(): Endpoint | undefined {
    const states = this.#endpoints.map((endpoint) => ({ endpoint, blocked: endpoint.blockedUntil()?.reason }));
    const up = states.filter(({ blocked }) => blocked === undefined);
    const usable = up.length > 0 ? up : states.filter(({ blocked }) => blocked === 'cooling');
    return usable
      .map(({ endpoint }) => endpoint)
      .filter((endpoint) => !endpoint.full)
      .sort((a, b) => a.outstanding - b.outstanding || a.usedAt - b.usedAt)[0];
  }
}
