import { MillraceError } from '../../pipelines/errors.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import type { Headers } from './caller.js';

/**
 * Without keys the gateway trusts this machine. A browser on it runs pages of strangers, and two checks keep those out:
 *
 * - `Host` must be a name of this machine: a page whose own name was made to resolve to 127.0.0.1 (DNS rebinding) says
 *   that name.
 * - `Origin`, which browsers send with every request that changes something, must be this machine's too: a form on any
 *   page can be sent to 127.0.0.1, and the browser asks nobody first.
 *
 * Throws `FORBIDDEN`.
 */
export function refuseStrangers(headers: Headers): void {
  const { host, ':authority': authority, origin } = headers;
  const named = host ?? authority;
  if (named !== undefined && !isOwn(`http://${named}`))
    throw forbidden('Host', 'is no name of this machine; without keys the gateway serves this machine only');
  if (origin !== undefined && !isOwn(String(origin)))
    throw forbidden('Origin', 'is another site; without keys the gateway serves pages of this machine only');
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
