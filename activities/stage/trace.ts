import { createHash } from 'node:crypto';

/**
 * `traceparent` of a call (W3C Trace Context), so that the logs of model servers can be joined: its trace is the run's, its
 * span a hash of the stage's call, both the same in every attempt and at every worker.
 * @param trace `RunContext.trace`; absent of runs that no gateway has started: a hash of the run's id
 */
export function traceparentOf(run: string, call: string, trace = `${hash(`trace ${run}`).slice(0, 32)}-01`): string {
  const [id, flags] = trace.split('-');
  return `00-${id}-${hash(`span ${call}`).slice(0, 16)}-${flags}`;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
