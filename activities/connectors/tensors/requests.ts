import type { Parameters } from '../../../protocols/open-inference/index.js';

/** The request parameters of one call's requests, in their order. */
export interface Requests {
  /** Whether they belong to a sequence, whose last request says so. */
  readonly sequential: boolean;
  /** Those of the next request; `last`: it is the last one of the call. */
  next(last: boolean): { readonly parameters?: Parameters };
}

/** For servers without parameters. */
export const PLAIN: Requests = { sequential: false, next: () => ({}) };
