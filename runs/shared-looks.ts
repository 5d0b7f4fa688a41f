/** A look that is under way, and the one that follows for all who came meanwhile. */
interface Looks<T> {
  readonly now: Promise<T>;
  next?: Promise<T>;
}

/**
 * Looks at one thing for many at once. Whoever comes while a look is under way shares the one after it, so that nobody is told
 * what was before they asked, and however many ask, there is one look at a time.
 */
export class SharedLooks<T> {
  readonly #looks = new Map<string, Looks<T>>();

  /** @param look looks at what `key` names; must end by itself */
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
