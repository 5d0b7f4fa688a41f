import type { OnLeave } from '../../pipelines/definition/index.js';
import { type Headers, invalidHeader } from './caller.js';

/** Header with `cancel` or `continue`: what happens to the run if the client leaves. */
export const ON_LEAVE_HEADER = 'millrace-on-leave';

/**
 * Headers in which clients and proxies count the tries of a request, and the number of the first try: the clients that
 * Stainless generates (OpenAI's, Anthropic's), gRPC's own retries, Envoy.
 */
const COUNTS: readonly (readonly [header: string, first: number])[] = [
  ['x-stainless-retry-count', 0],
  ['grpc-previous-rpc-attempts', 0],
  ['x-envoy-attempt-count', 1],
];

const NUMBER = /^\d{1,4}$/;

/** What the headers of a request say about retries and about leaving; parts of an `Order`. */
export interface Persistence {
  /** Which retry it is; absent if the headers do not say. */
  readonly retry?: number;
  readonly onLeave?: OnLeave;
}

/** Throws `INVALID_HEADER`. */
export function persistenceOf(headers: Headers): Persistence {
  const counts = COUNTS.flatMap(([header, first]) => {
    const given = headers[header];
    return typeof given === 'string' && NUMBER.test(given) ? [Math.max(0, Number(given) - first)] : [];
  });
  const onLeave = onLeaveIn(headers);
  return { ...(counts.length > 0 && { retry: Math.max(...counts) }), ...(onLeave && { onLeave }) };
}

function onLeaveIn(headers: Headers): OnLeave | undefined {
  const given = headers[ON_LEAVE_HEADER];
  if (given === undefined || given === 'cancel' || given === 'continue') return given;
  throw invalidHeader('Millrace-On-Leave', 'must be "cancel" or "continue"');
}
