import type { SegmentOutcome } from './segment.js';

/** Signal with the outcome of a guardian's run; its arguments are those of `outcomeSignal`. */
export const OUTCOME_SIGNAL = '@outcome';

/**
 * Arguments of the signal.
 * @param outcome null: no host has started the run, its guardian must do so now
 * @param guarded of the run's context. Another run with the same id, after this one was erased, has another. 0.3.0 sends none, and reads none.
 */
export const outcomeSignal = (
  outcome: SegmentOutcome | null,
  guarded: string | undefined,
): [outcome: SegmentOutcome | null, guarded?: string] => (guarded === undefined ? [outcome] : [outcome, guarded]);

/**
 * The outcome in the arguments of a signal that a run has received; undefined if it belongs to another run, which had the same id.
 * @param guarded of the context of the run that has received it
 */
export function outcomeOfSignal(
  [outcome, of]: readonly unknown[],
  guarded: string | undefined,
): SegmentOutcome | null | undefined {
  if (of !== undefined && of !== guarded) return undefined;
  return (outcome ?? null) as SegmentOutcome | null;
}
