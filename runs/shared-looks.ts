/** The request in flight, and the next one, which all callers that arrive meanwhile share. */
interface Looks<T> {
  readonly now: Promise<T>;
  next?: Promise<T>;
}

/**
 * Shares requests for the same thing among concurrent callers. A caller that arrives while a request is in flight shares the next one,
 * so it never gets an answer from before its call; at most one request per key is in flight.
 */
export class SharedLooks<T> {
  readonly #looks = new Map<string, Looks<T>>();

  /** @param look requests what `key` names; must have a timeout of its own */
  of(key: string, look: () => Promise<T>): Promise<T> {
    const looks = this.#looks.get(key);
    if (!looks) return this.#begin(key, look);
    looks.next ??= looks.now.then(
      () => this.#begin(key, look),
      () => this.#begin(key, look),
    );
    return looks.next;
  }

  #begin(key: string, look: () => Promise<T>): Promise<T> {
    const own: Looks<T> = { now: look() };
    this.#looks.set(key, own);
    const end = () => {
      if (!own.next && this.#looks.get(key) === own) this.#looks.delete(key);
    };
    own.now.then(end, end);
    return own.now;
  }
}
