import { createHash } from 'node:crypto';

/**
 * `traceparent` of a call (W3C Trace Context): its trace is the run's, its span the stage's, so that the logs of model
 * servers can be joined. Both are hashes, the same in every attempt and at every worker. Sampled.
 */
export const traceparentOf = (run: string, call: string): string =>
  `00-${hash(`trace ${run}`).slice(0, 32)}-${hash(`span ${call}`).slice(0, 16)}-01`;

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
