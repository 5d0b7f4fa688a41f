/**
 * A number of permits, given in the order of asking. `p-limit` keeps that order too, but nobody can leave its queue: a caller that
 * is gone would wait on.
 */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(permits: number) {
    this.#free = permits;
  }

  /** Resolves with a permit, which is to be released. Throws the signal's reason when it aborts before. */
  async acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const go = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(go);
    });
  }

  release(): void {
    const go = this.#waiting.shift();
    if (go === undefined) this.#free++;
    else go();
  }
}
