import type { Redis } from 'ioredis';

/** Readers that wait for a change, of this process or of another: changes are published under the channel's key. */
export class Wakeups {
  readonly #subscriber: Redis;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(subscriber: Redis) {
    this.#subscriber = subscriber;
    subscriber.on('message', (key: string) => this.wake(key));
    // Changes may have been missed, and the new connection has no subscription.
    subscriber.on('ready', () => {
      for (const key of this.#waiting.keys()) this.#subscribe(key);
    });
  }

  wake(key: string): void {
    for (const wake of this.#waiting.get(key) ?? []) wake();
  }

  listen(key: string, wake: () => void): () => void {
    const known = this.#waiting.get(key);
    if (known) known.add(wake);
    else {
      this.#waiting.set(key, new Set([wake]));
      this.#subscribe(key);
    }
    return () => {
      const all = this.#waiting.get(key);
      if (!all?.delete(wake) || all.size > 0) return;
      this.#waiting.delete(key);
      this.#subscriber.unsubscribe(key).catch(() => undefined);
    };
  }

  /** While the server cannot be reached, readers poll. */
  #subscribe(key: string): void {
    this.#subscriber.subscribe(key).then(
      () => this.wake(key),
      () => undefined,
    );
  }
}
