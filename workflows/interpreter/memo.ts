import type { Json } from '../../pipelines/json.js';

/**
 * What of a run has ended, by path, so that it can go on in a new history: a step's value, or of a loop that has not ended
 * its items' values and its state. A value stands for all below it.
 */
export class Memo {
  #value: Json | undefined;
  readonly #below = new Map<string, Memo>();

  get value(): Json | undefined {
    return this.#value;
  }

  below(name: string): Memo {
    const known = this.#below.get(name);
    if (known) return known;
    const made = new Memo();
    this.#below.set(name, made);
    return made;
  }

  end(value: Json): void {
    this.#value = value;
    this.#below.clear();
  }

  /** Forgets what is below under `name`. */
  drop(name: string): void {
    this.#below.delete(name);
  }

  /** Takes over what another memo of the same step knows. */
  take(name: string, memo: Memo): void {
    this.#below.set(name, memo);
  }

  toJson(): Json {
    if (this.#value !== undefined) return { value: this.#value };
    return { below: Object.fromEntries([...this.#below].map(([name, memo]) => [name, memo.toJson()])) };
  }

  static from(json: Json | undefined): Memo {
    const memo = new Memo();
    const { value, below = {} } = (json ?? {}) as { value?: Json; below?: Record<string, Json> };
    if (value !== undefined) memo.#value = value;
    for (const [name, inner] of Object.entries(below)) memo.#below.set(name, Memo.from(inner));
    return memo;
  }
}
