import { MillraceError } from '../../pipelines/errors.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import type { Headers } from './caller.js';

/**
 * Without keys the gateway trusts all processes of this machine. Browsers on it also run pages of other sites, which
 * two checks reject:
 *
 * - `Host` must be a name of this machine: after DNS rebinding a page's request has the page's own host name.
 * - `Origin`, which browsers send with every request that changes something, must be this machine's too, or one of
 *   `origins`: any page can submit a form to 127.0.0.1 without a preflight.
 *
 * Throws `FORBIDDEN`.
 */
export function refuseStrangers(headers: Headers, origins: readonly string[] = []): void {
  const { host, ':authority': authority, origin } = headers;
  const named = host ?? authority;
  if (named !== undefined && !isOwn(`http://${named}`))
    throw forbidden('Host', 'is not a name of this machine; without keys the gateway serves this machine only');
  if (origin === undefined || origins.includes(String(origin)) || isOwn(String(origin))) return;
  throw forbidden(
    'Origin',
    'is another site; without keys the gateway serves pages of this machine and of MILLRACE_CORS_ORIGINS only',
  );
}

function isOwn(url: string): boolean {
  try {
    return isLoopbackName(new URL(url).hostname);
  } catch {
    return false;
  }
}

const forbidden = (field: string, message: string) =>
  new MillraceError('FORBIDDEN', `${field} ${message}`, { fields: [{ field, message }] });
