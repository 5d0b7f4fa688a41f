/**
 * Temporal's default throttle delays every heartbeat but the first, and with it cancellation, to 0.8 of the heartbeat
 * timeout. This is just below the activities' interval of half a second, so that every heartbeat is sent.
 */
export const HEARTBEAT_THROTTLE_MS = 450;
