import type { StageCall } from './stage-call.js';

/** How long a channel outlives the deadline of its run, in milliseconds. */
const KEPT_AFTER_MS = 600_000;

/** A call of an earlier release does not say how long its run takes if nothing is recorded: a day. */
const LONGEST_MS = 24 * 3_600_000;

/** How long a channel of a call is kept after its last write, in milliseconds. */
export const channelTtlMs = ({ runMs, streamedMs }: Pick<StageCall, 'runMs' | 'streamedMs'>): number =>
  (runMs ?? streamedMs ?? LONGEST_MS) + KEPT_AFTER_MS;
