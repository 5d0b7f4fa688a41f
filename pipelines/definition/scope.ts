import type { Step } from '../plan/plan.js';

/** The graph being traced: its steps so far, and its enclosing graph. */
export class GraphScope {
  readonly steps: Step[] = [];
  readonly #parent: GraphScope | undefined;
  /** Id of the step that owns the graph; the pipeline's name at the top. */
  readonly #of: string;

  constructor(of: string, parent?: GraphScope) {
    this.#of = of;
    this.#parent = parent;
  }

  /** Why a value of `other` cannot be read here; undefined when `other` is this graph or encloses it. */
  whyNot(other: GraphScope): string | undefined {
    for (let at: GraphScope | undefined = this; at; at = at.#parent) if (at === other) return undefined;
    if (this.#top() !== other.#top()) return 'it belongs to another pipeline';
    return `it exists only inside "${other.#of}"; return it from there and read it from the output of "${other.#of}"`;
  }

  #top(): GraphScope {
    return this.#parent ? this.#parent.#top() : this;
  }
}
