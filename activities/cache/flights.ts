/** A call under way that several wait for. It ends early when nobody waits for it any more. */
export class Flight<T> {
  readonly #value: Promise<T>;
  readonly #own = new AbortController();
  readonly #over: () => void;
  readonly #failedFor = new Set<object>();
  #waiting = 0;

  /** @param over called when nobody is to join it any more */
  constructor(call: (signal: AbortSignal) => Promise<T>, over: () => void) {
    this.#over = over;
    this.#value = call(this.#own.signal);
    this.#value.then(over, over);
  }

  /** The result of the call. Who waits leaves by the signal, which must not have aborted yet. */
  wait(signal: AbortSignal): Promise<T> {
    this.#waiting += 1;
    signal.addEventListener(
      'abort',
      () => {
        this.#waiting -= 1;
        if (this.#waiting > 0) return;
        this.#over();
        this.#own.abort(signal.reason);
      },
      { once: true },
    );
    return this.#value;
  }

  /** The call has failed, or is late, for somebody who has waited. False if it is known already as failed for `whom`. */
  fails(whom: object): boolean {
    // Who comes later would wait for a call that may never end.
    this.#over();
    if (this.#failedFor.has(whom)) return false;
    this.#failedFor.add(whom);
    return true;
  }
}

/** Calls under way, by name. */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** The call of this name that may be joined, or a new one. */
  of(name: string, call: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const there = this.#flights.get(name);
    if (there) return there;
    const flight: Flight<T> = new Flight(call, () => {
      if (this.#flights.get(name) === flight) this.#flights.delete(name);
    });
    this.#flights.set(name, flight);
    return flight;
  }
}
