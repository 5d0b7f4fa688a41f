import { MillraceError } from '../../../pipelines/errors.js';
import type { CallbackPort, CallContext } from '../connector.js';
import type { Scope } from './template.js';

/** An address at which the server of a job can call, and the token in it. Throws `INVALID_SETTING` where there are none. */
export function openCallback({ callbacks }: Pick<CallContext, 'callbacks'>): ReturnType<CallbackPort['open']> {
  if (callbacks) return callbacks.open();
  throw new MillraceError(
    'INVALID_SETTING',
    'MILLRACE_PUBLIC_URL is not set: the pool’s job has a callback, and servers do not know where the gateway is',
  );
}

/** Nobody waits for the server’s call any more. Where the store cannot be reached, the address expires by itself. */
export function closeCallback(token: string | undefined, { callbacks }: Pick<CallContext, 'callbacks'>): void {
  if (token !== undefined) void callbacks?.close(token).catch(() => undefined);
}

/** What templates of the submission see: the address as `/call/callback`. */
export const withCallback = (scope: Scope, url: string): Scope => ({
  ...scope,
  call: { ...(scope.call as object), callback: url },
});

/**
 * Whether the server has called since this was true the last time: servers call for each step of a job, or twice, or before
 * they have answered its submission. While the store cannot be reached nobody has called.
 */
export function wokenBy(
  token: string | undefined,
  { callbacks }: Pick<CallContext, 'callbacks'>,
): (() => Promise<boolean>) | undefined {
  if (token === undefined || !callbacks) return undefined;
  return () => callbacks.arrived(token).catch(() => false);
}
