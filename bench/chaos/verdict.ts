/** A stage of a run starts: its function asks for its side effect, or its call reaches the proxy. */
export interface Start {
  readonly run: number;
  readonly stage: string;
  /** Milliseconds since 1970; all records are made on one machine. */
  readonly at: number;
  /** The idempotency key of the call, where it has one. */
  readonly key?: string;
}

/** What is known of a run's stages. They read one another in this order, each the one before. */
export interface Evidence {
  /** The stages in the order of the chain, with the attempts that the policy of each allows. */
  readonly stages: readonly { readonly id: string; readonly attempts: number }[];
  readonly starts: readonly Omit<Start, 'run'>[];
  /** When Temporal recorded the end of a queued stage, by stage. */
  readonly completed: ReadonlyMap<string, number>;
  /** When whoever waited for the run was told that it has succeeded. */
  readonly toldAt?: number | undefined;
}

export interface Verdict {
  /** Stages that started again after their end was recorded. */
  readonly repeated: readonly string[];
  /** Stages that started more often than their policy allows. */
  readonly overPolicy: readonly string[];
  /** Side effects that were asked for again after their end was recorded, or under another idempotency key. */
  readonly twice: readonly string[];
  /** Side effects that were asked for again under their key, each time before an end was recorded. */
  readonly underWay: number;
}

/**
 * A stage's end is recorded at the latest when a stage behind it in the chain starts: Temporal's history or the segment's
 * journal had its result then. A queued stage's is recorded when the history says so, and all are when the run's end is told.
 * No start may come after that.
 */
export function judge({ stages, starts, completed, toldAt = Number.POSITIVE_INFINITY }: Evidence): Verdict {
  const firstStart = (id: string) => Math.min(...starts.filter(({ stage }) => stage === id).map(({ at }) => at));
  const verdict = { repeated: [] as string[], overPolicy: [] as string[], twice: [] as string[], underWay: 0 };
  for (const [i, { id, attempts }] of stages.entries()) {
    const own = starts.filter(({ stage }) => stage === id).toSorted((a, b) => a.at - b.at);
    const behind = stages.slice(i + 1).map((later) => firstStart(later.id));
    const recordedAt = Math.min(completed.get(id) ?? Number.POSITIVE_INFINITY, toldAt, ...behind);
    const late = own.some(({ at }) => at > recordedAt);
    if (late) verdict.repeated.push(id);
    if (own.length > attempts) verdict.overPolicy.push(id);
    const [first, ...again] = own;
    if (first?.key === undefined) continue; // no side effect of a function
    if (late || again.some(({ key }) => key !== first.key)) verdict.twice.push(id);
    else verdict.underWay += again.length;
  }
  return verdict;
}
