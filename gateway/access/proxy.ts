import { createHash, timingSafeEqual } from 'node:crypto';
import { MillraceError } from '../../pipelines/errors.js';
import { type Caller, type Headers, invalidHeader, namedTenant } from './caller.js';

/** A proxy in front that authenticates callers, and names their tenant in `Millrace-Tenant`. */
export interface ProxyInFront {
  /** One of these it sends in `Millrace-Proxy-Secret`. Absent: nothing, since only this machine reaches the gateway. */
  readonly secrets?: readonly string[];
}

const SECRET_HEADER = 'millrace-proxy-secret';
const USER_HEADER = 'millrace-user';
/** Visible ASCII: a name, an address, a token's subject. */
const USER = /^[\x21-\x7e]{1,200}$/;

/** Names that no proxy may give: `default` is what a gateway without callers calls its own, `millrace` is kept for Millrace. */
const RESERVED: ReadonlySet<string> = new Set(['default', 'millrace']);

/** Whether the request comes from the proxy. Takes the same time whatever is wrong. */
export function isFromProxy({ secrets = [] }: ProxyInFront, headers: Headers): boolean {
  if (secrets.length === 0) return true;
  const given = headers[SECRET_HEADER];
  const hash = hashOf(typeof given === 'string' ? given : '');
  return secrets.map((secret) => timingSafeEqual(hashOf(secret), hash)).includes(true);
}

/**
 * Whom the proxy names. Throws `UNAUTHENTICATED` where it names no tenant, `INVALID_HEADER` for a name that is none,
 * `FORBIDDEN` for one that is reserved.
 */
export function proxiedCaller(headers: Headers): Caller {
  const tenant = namedTenant(headers);
  if (tenant === undefined) throw unauthenticated('Millrace-Tenant', 'is missing: the proxy names the caller’s tenant');
  if (RESERVED.has(tenant)) {
    const message = `"${tenant}" is reserved: give the tenant another name`;
    throw new MillraceError('FORBIDDEN', `Millrace-Tenant: ${message}`, {
      fields: [{ field: 'Millrace-Tenant', message }],
    });
  }
  const user = headers[USER_HEADER];
  if (user === undefined) return { tenant };
  if (typeof user === 'string' && USER.test(user)) return { tenant, user };
  throw invalidHeader('Millrace-User', 'must be 1 to 200 visible ASCII characters');
}

export const unauthenticated = (field: string, message: string): MillraceError =>
  new MillraceError('UNAUTHENTICATED', `${field} ${message}`, { fields: [{ field, message }] });

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();
