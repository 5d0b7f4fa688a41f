import { limited } from '../../../runtime/limited.js';

/** How long a list that has been read counts, in milliseconds. */
const FRESH_MS = 60_000;
/** Longest reading that nobody waits for, in milliseconds. */
const LONGEST_MS = 30_000;

/**
 * For which models a server's list of models has been read. Servers of other software are asked for that list alone to see whether they
 * are there. With many models it is long, and may be slow, so it is read once a minute while the server has not failed, and no check
 * waits for it.
 */
export class ListReadings {
  /** When each list was read, by `performance.now()`. */
  readonly #at = new Map<string, number>();
  readonly #closing = new AbortController();

  /** The list has been read for this model. */
  add(model: string): void {
    this.#at.set(model, performance.now());
  }

  /** The server may be gone. */
  clear(): void {
    this.#at.clear();
  }

  /**
   * Whether the list has been read for this model, and neither a call nor a reading has failed since.
   * @param again reads it. Called where it was read more than a minute ago, and not waited for; its signal aborts after half a minute
   */
  has(model: string, again: (signal: AbortSignal) => Promise<unknown>): boolean {
    const at = this.#at.get(model);
    if (at === undefined) return false;
    if (performance.now() - at >= FRESH_MS) {
      // Before it is read, so that it is read once.
      this.add(model);
      void limited(LONGEST_MS, this.#closing.signal, again).catch(() => this.#at.delete(model));
    }
    return true;
  }

  /** Ends a reading under way. */
  close(): void {
    this.#closing.abort(new Error('the server’s client is closed'));
  }
}
