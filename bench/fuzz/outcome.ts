/** What became of the requests to one door. */
export interface Outcome {
  readonly requests: number;
  readonly serverErrors: number;
  /** Kinds of answers that no document has. */
  readonly undocumented: number;
  /** Each of both, with its number. */
  readonly problems: ReadonlyMap<string, number>;
}

/** What is wrong with an answer: the server’s fault, or not what its documents say. */
export interface Problem {
  readonly problem: string;
  readonly server: boolean;
}

/** Collects what is wrong with answers. */
export class Found {
  #requests = 0;
  #serverErrors = 0;
  readonly #undocumented = new Set<string>();
  readonly #problems = new Map<string, number>();

  count(what: string, found: Problem | undefined): void {
    this.#requests += 1;
    if (found === undefined) return;
    const text = `${what}: ${found.problem}`;
    this.#problems.set(text, (this.#problems.get(text) ?? 0) + 1);
    if (found.server) this.#serverErrors += 1;
    else this.#undocumented.add(text);
  }

  outcome(): Outcome {
    return {
      requests: this.#requests,
      serverErrors: this.#serverErrors,
      undocumented: this.#undocumented.size,
      problems: this.#problems,
    };
  }
}
