import type { Load } from '../simulator/index.js';

/** Makes what depends on a load alone once for each key: it is asked for by every model, on every kind of device. */
export class OncePerLoad<T> {
  readonly #made = new WeakMap<Load, Map<string, T>>();

  get(load: Load, key: readonly (string | number | undefined)[], make: () => T): T {
    const own = this.#made.get(load) ?? new Map<string, T>();
    this.#made.set(load, own);
    const name = key.map((each) => String(each)).join('|');
    const known = own.get(name);
    if (known !== undefined) return known;
    const made = make();
    own.set(name, made);
    return made;
  }
}
