import type { Json } from '../../pipelines/json.js';
import type { Scope } from '../../pipelines/plan/index.js';

/** Values of one graph's steps, backed by those of the enclosing graphs. */
export class GraphValues implements Scope {
  readonly #own: Map<string, Json>;
  readonly #around: Scope | undefined;

  constructor(own: Readonly<Record<string, Json>>, around?: Scope) {
    this.#own = new Map(Object.entries(own));
    this.#around = around;
  }

  get(source: string): Json | undefined {
    return this.#own.has(source) ? this.#own.get(source) : this.#around?.get(source);
  }

  set(step: string, value: Json): void {
    this.#own.set(step, value);
  }
}
