/**
 * Temporal's own throttle would send every beat but the first at 0.8 of the heartbeat timeout, and cancellation with it.
 * This is just below the activities' beat of half a second, so that each beat is sent.
 */
export const HEARTBEAT_THROTTLE_MS = 450;
