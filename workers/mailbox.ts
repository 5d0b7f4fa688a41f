import type { Json } from '../pipelines/json.js';

/** Messages sent to a run, by name, kept until they are taken. */
export class Mailbox {
  readonly #kept = new Map<string, Json[]>();
  readonly #takers = new Map<string, ((message: Json) => void)[]>();

  send(name: string, message: Json): void {
    const taker = this.#takers.get(name)?.shift();
    if (taker) taker(message);
    else this.#kept.set(name, [...(this.#kept.get(name) ?? []), message]);
  }

  take(name: string, signal: AbortSignal): Promise<Json> {
    const kept = this.#kept.get(name) ?? [];
    if (kept.length > 0) return Promise.resolve(kept.shift() as Json);
    return new Promise((resolve, reject) => {
      const takers = this.#takers.get(name) ?? [];
      this.#takers.set(name, takers);
      takers.push(resolve);
      signal.addEventListener(
        'abort',
        () => {
          const at = takers.indexOf(resolve);
          if (at >= 0) takers.splice(at, 1);
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }
}
