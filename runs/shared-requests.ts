/** The request in flight, and the next one, which all callers that arrive meanwhile share. */
interface Requests<T> {
  readonly now: Promise<T>;
  next?: Promise<T>;
}

/**
 * Shares requests for the same thing among concurrent callers. A caller that arrives while a request is in flight shares the next one,
 * so it never gets an answer from before its call; at most one request per key is in flight.
 */
export class SharedRequests<T> {
  readonly #requests = new Map<string, Requests<T>>();

  /** @param request requests what `key` names; must have a timeout of its own */
  of(key: string, request: () => Promise<T>): Promise<T> {
    const requests = this.#requests.get(key);
    if (!requests) return this.#begin(key, request);
    requests.next ??= requests.now.then(
      () => this.#begin(key, request),
      () => this.#begin(key, request),
    );
    return requests.next;
  }

  #begin(key: string, request: () => Promise<T>): Promise<T> {
    const own: Requests<T> = { now: request() };
    this.#requests.set(key, own);
    const end = () => {
      if (!own.next && this.#requests.get(key) === own) this.#requests.delete(key);
    };
    own.now.then(end, end);
    return own.now;
  }
}
