import type { Json } from '../../pipelines/json.js';

/**
 * What has ended in a run, by path, so that it can continue in a new history: values of steps, and for loops in
 * progress their state and their items' values. A value replaces everything below it.
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

  /** Whether nothing has ended in it. */
  get isEmpty(): boolean {
    if (this.#value !== undefined) return false;
    for (const memo of this.#below.values()) if (!memo.isEmpty) return false;
    return true;
  }

  /** What is noted under each name. */
  get parts(): ReadonlyMap<string, Memo> {
    return this.#below;
  }

  /** The value under `name`; undefined, and nothing is noted, where there is none. */
  valueBelow(name: string): Json | undefined {
    return this.#below.get(name)?.value;
  }

  /** Forgets everything under `name`. */
  drop(name: string): void {
    this.#below.delete(name);
  }

  /** Takes over another memo of the same step. */
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
