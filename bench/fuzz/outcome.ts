/** Result of the requests to one door. */
export interface Outcome {
  readonly requests: number;
  readonly serverErrors: number;
  /** Kinds of undocumented answers. */
  readonly undocumented: number;
  /** All of both, with their numbers. */
  readonly problems: ReadonlyMap<string, number>;
}

/** A fault of an answer: a server error, or not documented. */
export interface Problem {
  readonly problem: string;
  readonly server: boolean;
}

/** Collects faults of answers. */
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
