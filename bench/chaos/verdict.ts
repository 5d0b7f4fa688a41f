/** A start of a run's stage: its function requests its side effect, or its call reaches the proxy. */
export interface Start {
  readonly run: number;
  readonly stage: string;
  /** Milliseconds since 1970; all records are made on one machine. */
  readonly at: number;
  /** The idempotency key of the call, if it has one. */
  readonly key?: string;
}

/** Records of a run's stages, which form a chain: each reads the one before. */
export interface Evidence {
  /** The stages in the order of the chain, with the attempts that each policy allows. */
  readonly stages: readonly { readonly id: string; readonly attempts: number }[];
  readonly starts: readonly Omit<Start, 'run'>[];
  /** When Temporal recorded the end of a queued stage, by stage. */
  readonly completed: ReadonlyMap<string, number>;
  /** When the waiting client got the run's result. */
  readonly reportedAt?: number | undefined;
}

export interface Verdict {
  /** Stages that started again after their end was recorded. */
  readonly repeated: readonly string[];
  /** Stages that started more often than their policy allows. */
  readonly overPolicy: readonly string[];
  /** Side effects requested again after their end was recorded, or under another idempotency key. */
  readonly twice: readonly string[];
  /** Side effects requested again under their key, each time before an end was recorded. */
  readonly underWay: number;
}

/**
 * A stage's end is recorded at the latest when a later stage of the chain starts: Temporal's history or the segment's
 * journal had its result by then. A queued stage's end is recorded when the history has it, and all ends are when the
 * client gets the run's result. No start may come after that.
 */
export function judge({ stages, starts, completed, reportedAt = Number.POSITIVE_INFINITY }: Evidence): Verdict {
  const firstStart = (id: string) => Math.min(...starts.filter(({ stage }) => stage === id).map(({ at }) => at));
  const verdict = { repeated: [] as string[], overPolicy: [] as string[], twice: [] as string[], underWay: 0 };
  for (const [i, { id, attempts }] of stages.entries()) {
    const own = starts.filter(({ stage }) => stage === id).toSorted((a, b) => a.at - b.at);
    const behind = stages.slice(i + 1).map((later) => firstStart(later.id));
    const recordedAt = Math.min(completed.get(id) ?? Number.POSITIVE_INFINITY, reportedAt, ...behind);
    const late = own.some(({ at }) => at > recordedAt);
    if (late) verdict.repeated.push(id);
    if (own.length > attempts) verdict.overPolicy.push(id);
    const [first, ...again] = own;
    if (first?.key === undefined) continue; // not a function's side effect
    if (late || again.some(({ key }) => key !== first.key)) verdict.twice.push(id);
    else verdict.underWay += again.length;
  }
  return verdict;
}
