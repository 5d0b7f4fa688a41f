import type { StageCall } from './stage-call.js';

/** How long a channel outlives the deadline of its run, in milliseconds. */
const KEPT_AFTER_MS = 600_000;

/** A run without a record does not say how long it takes: a day. */
const LONGEST_MS = 24 * 3_600_000;

/** How long a channel of a call is kept after its last write, in milliseconds. */
export const channelTtlMs = ({ runMs = LONGEST_MS }: Pick<StageCall, 'runMs'>): number => runMs + KEPT_AFTER_MS;
