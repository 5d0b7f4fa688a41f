import type { Candidate } from './candidate.js';
import type { Judge, Seen, Trial } from './judge.js';

/** Bisection steps for the number of admitted runs in flight. */
const STEPS = 9;

/**
 * Minimum share of the runs to refuse so that the others meet the objective: arrivals are refused while as many runs
 * are in flight as the placement serves in time. 0 if it meets the objective as it is, 1 if even one run at a time is
 * too slow. Ends early if `goOn` says so, with the share found by then.
 *
 * @param all the same trial without refusals
 */
export function shedShare(
  judge: Judge,
  candidate: Candidate,
  all: Pick<Seen, 'holds'>,
  trial: Trial = {},
  goOn = () => true,
): number {
  if (all.holds) return 0;
  const count = judge.problem.load.timesMs.length;
  let low = 0;
  let high = Math.min(count, 4_096);
  let share = 1;
  for (let i = 0; i < STEPS && high - low > 1 && goOn(); i += 1) {
    const admit = i === 0 ? Math.min(64, high) : Math.ceil((low + high) / 2);
    const { holds, result } = judge.see(candidate, { ...trial, admit });
    if (holds) {
      low = admit;
      share = result.refused / count;
    } else high = admit;
  }
  return share;
}
