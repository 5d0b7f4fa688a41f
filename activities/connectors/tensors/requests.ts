import type { CallContext } from '../connector.js';
import type { RequestOptions } from './model-tensors.js';

/** The request parameters of one call's requests, in their order. */
export interface Requests {
  /** Whether they belong to a sequence, whose last request says so. */
  readonly sequential: boolean;
  /** Those of the next request; `last`: it is the last one of the call. */
  next(last: boolean): Pick<RequestOptions, 'parameters' | 'traceparent'>;
}

/** For servers without parameters. */
export const plainRequests = ({ traceparent }: Pick<CallContext, 'traceparent'> = {}): Requests => ({
  sequential: false,
  next: () => ({ ...(traceparent !== undefined && { traceparent }) }),
});
