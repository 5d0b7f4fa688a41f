import { beyondChance, LOOKED_AT } from '../replan/index.js';
import { type Evidence, endedIn } from './evidence.js';
import type { Policy } from './schema.js';

/** Not as many as runs must end: times are read of some runs only, and in some of those a stage makes no call. */
const LEAST_TIMES = 20;

/** Fewest runs, or calls of a stage, by which the late ones are compared. */
export const leastTimes = ({ runs }: Pick<Policy['verify'], 'runs'>): number => Math.min(runs, LEAST_TIMES);

/** An objective for which too few runs or calls were measured to say whether more of them are late. */
export interface Unjudged {
  /** The objective and the number, for people. */
  readonly text: string;
  /** There were enough before, and as many were to be expected: what kept them away may be the change. */
  readonly isDoubt: boolean;
  /** Measured for as long again there may be enough. */
  readonly isSoon: boolean;
}

/**
 * The objectives that cannot be judged. That of a stage that was hardly ever called before the change is no doubt: otherwise no change would
 * ever be verified.
 */
export function unjudgedIn(
  { before, after }: { readonly before: Evidence; readonly after: Evidence },
  { verify }: Pick<Policy, 'verify'>,
): readonly Unjudged[] {
  const least = leastTimes(verify);
  return after.budgets.flatMap(({ of, stage, count }): Unjudged[] => {
    if (count >= least) return [];
    const past = before.budgets.find((each) => each.of === of)?.count ?? 0;
    const most = stage === undefined ? LOOKED_AT.runs : LOOKED_AT.stages;
    const what = stage === undefined ? 'runs' : 'calls';
    const lookedAt = (evidence: Evidence) => Math.min(endedIn(evidence), most);
    const expected = (past * lookedAt(after)) / Math.max(1, lookedAt(before));
    const isDoubt = past >= least && expected >= least && beyondChance(expected, count);
    return [
      {
        text: `${of} (${count} ${what}, fewer than ${least})`,
        isDoubt,
        isSoon: 2 * count >= least,
      },
    ];
  });
}
