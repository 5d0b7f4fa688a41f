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

  /** The next message. Rejects with the signal's reason when it aborts; a message that comes later is kept for the next. */
  take(name: string, signal: AbortSignal): Promise<Json> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const kept = this.#kept.get(name) ?? [];
    if (kept.length > 0) return Promise.resolve(kept.shift() as Json);
    return new Promise((resolve, reject) => {
      const takers = this.#takers.get(name) ?? [];
      this.#takers.set(name, takers);
      const leave = () => {
        takers.splice(takers.indexOf(taker), 1);
        reject(signal.reason);
      };
      const taker = (message: Json) => {
        signal.removeEventListener('abort', leave);
        resolve(message);
      };
      takers.push(taker);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
