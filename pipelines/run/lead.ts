/**
 * How long before Temporal's timeout an attempt of a stage expires, in milliseconds. A call takes up to a second to end, but most
 * end within milliseconds. Temporal's timeout has no error code and ignores how many calls are left.
 */
const LEAD = { ms: 250, share: 0.1 };

export const leadMs = (timeoutMs: number): number => Math.min(LEAD.ms, timeoutMs * LEAD.share);
