/** A stage of a run starts: its function runs, or its call reaches the proxy. */
export interface Start {
  readonly run: number;
  readonly stage: string;
  /** Milliseconds since 1970; all records are made on one machine. */
  readonly at: number;
}

/** What is known of a run's stages. They read one another in this order, each the one before. */
export interface Evidence {
  /** The stages in the order of the chain, with the attempts that the policy of each allows. */
  readonly stages: readonly { readonly id: string; readonly attempts: number }[];
  readonly starts: readonly Pick<Start, 'stage' | 'at'>[];
  /** When Temporal recorded the end of a queued stage, by stage. */
  readonly completed: ReadonlyMap<string, number>;
}

export interface Verdict {
  /** Stages that started again after their end was recorded. */
  readonly repeated: readonly string[];
  /** Stages that started more often than their policy allows. */
  readonly overPolicy: readonly string[];
}

/**
 * A stage's end is recorded at the latest when a stage behind it in the chain starts: Temporal's history or the segment's
 * journal had its result then. A queued stage's is recorded when the history says so. No start may come after that.
 */
export function judge({ stages, starts, completed }: Evidence): Verdict {
  const firstStart = (id: string) => Math.min(...starts.filter(({ stage }) => stage === id).map(({ at }) => at));
  const verdict = { repeated: [] as string[], overPolicy: [] as string[] };
  for (const [i, { id, attempts }] of stages.entries()) {
    const own = starts.filter(({ stage }) => stage === id);
    const behind = stages.slice(i + 1).map((later) => firstStart(later.id));
    const recordedAt = Math.min(completed.get(id) ?? Number.POSITIVE_INFINITY, ...behind);
    if (own.some(({ at }) => at > recordedAt)) verdict.repeated.push(id);
    if (own.length > attempts) verdict.overPolicy.push(id);
  }
  return verdict;
}
