import { MillraceError } from '../../pipelines/errors.js';
import { type Endpoint, ITS_OWN } from './endpoint.js';

/** A call's error with the endpoint that failed, so that the next attempt avoids it, and whether another one may succeed. */
export function failureAt({ url }: Endpoint, endpoints: readonly Endpoint[], error: unknown): unknown {
  if (!(error instanceof MillraceError) || !ITS_OWN.has(error.code)) return error;
  const { code, message, details, cause } = error;
  // One of several keys or servers may be misconfigured while others work.
  const accepts = ({ url: other, isOut, outcomes: { count } }: Endpoint) =>
    other !== url && !isOut && (count.calls === 0 || count.failures < count.calls);
  const elsewhere = code === 'BACKEND_UNAUTHORIZED' && endpoints.some(accepts);
  if (!elsewhere && details.endpoint !== undefined) return error;
  return new MillraceError(code, message, { endpoint: url, ...details, ...(elsewhere && { elsewhere }) }, { cause });
}

/** Whether a call can only go on at another endpoint: this one has not failed. */
export const isOfAnother = (error: unknown): boolean =>
  error instanceof MillraceError && error.details.elsewhere === true;
