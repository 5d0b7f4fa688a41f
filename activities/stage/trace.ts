import { createHash } from 'node:crypto';

/**
 * `traceparent` of a call (W3C Trace Context), so that the logs of model servers can be joined: its trace is the run's, its
 * parent the caller's span, else a hash of the stage's call: Millrace records no spans that could stand between.
 * @param trace `RunContext.trace`; absent of runs that no gateway has started: a hash of the run's id
 */
export function traceparentOf(run: string, call: string, trace = `${hash(`trace ${run}`).slice(0, 32)}-01`): string {
  const [id, ...rest] = trace.split('-');
  const flags = rest.at(-1);
  const parent = rest.length > 1 ? rest[0] : hash(`span ${call}`).slice(0, 16);
  return `00-${id}-${parent}-${flags}`;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
