import type { Step } from '../plan/plan.js';

/** The graph that is being traced: its steps so far, and the graph around it. */
export class GraphScope {
  readonly steps: Step[] = [];
  readonly #parent: GraphScope | undefined;
  /** The step whose graph it is; the pipeline's name at the top. */
  readonly #of: string;

  constructor(of: string, parent?: GraphScope) {
    this.#of = of;
    this.#parent = parent;
  }

  /** Why a value of `other` cannot be read here; undefined when it can: its graph is this one or around it. */
  whyNot(other: GraphScope): string | undefined {
    for (let at: GraphScope | undefined = this; at; at = at.#parent) if (at === other) return undefined;
    if (this.#top() !== other.#top()) return 'it belongs to another pipeline';
    return `it exists only inside "${other.#of}"; return it from there and read it from what "${other.#of}" gives`;
  }

  #top(): GraphScope {
    return this.#parent ? this.#parent.#top() : this;
  }
}
