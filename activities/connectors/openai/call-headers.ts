import type { CallContext } from '../connector.js';
import type { OpenAiOptions } from './options.js';

/** Headers of one call: the trace, and for a router what it chooses a server by. */
export function callHeaders(
  { router }: Pick<OpenAiOptions, 'router'>,
  { traceparent, priority = 'default', affinity, tenant, endsAt }: CallContext,
): Record<string, string> {
  const all: Record<string, string> = traceparent === undefined ? {} : { traceparent };
  if (!router) return all;
  const leftMs = endsAt === undefined ? undefined : Math.max(1, Math.floor(endsAt - performance.now()));
  const values = { priority, session: affinity, tenant, timeoutMs: leftMs?.toString() };
  for (const [what, name] of Object.entries(router.headers) as [keyof typeof values, string][]) {
    const value = values[what];
    if (value !== undefined) all[name] = value;
  }
  return all;
}
