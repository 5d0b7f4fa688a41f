import { createHash, timingSafeEqual } from 'node:crypto';
import { MillraceError } from '../../pipelines/errors.js';
import { type Caller, type Headers, invalidHeader, namedTenant } from './caller.js';
import { isReserved } from './reserved-tenants.js';

/** A proxy in front of the gateway that authenticates callers and names their tenant in `Millrace-Tenant`. */
export interface ProxyInFront {
  /**
   * Accepted values of `Millrace-Proxy-Secret`. Absent: none is needed, because only this machine can reach the
   * gateway.
   */
  readonly secrets?: readonly string[];
}

const SECRET_HEADER = 'millrace-proxy-secret';
const USER_HEADER = 'millrace-user';
/** Visible ASCII: a user name, an e-mail address, the subject of a token. */
const USER = /^[\x21-\x7e]{1,200}$/;

/** Whether the request has the proxy's secret. Constant time. */
export function isFromProxy({ secrets = [] }: ProxyInFront, headers: Headers): boolean {
  if (secrets.length === 0) return true;
  const given = headers[SECRET_HEADER];
  const hash = hashOf(typeof given === 'string' ? given : '');
  return secrets.map((secret) => timingSafeEqual(hashOf(secret), hash)).includes(true);
}

/**
 * The caller that the proxy names. Throws `UNAUTHENTICATED` without a tenant, `INVALID_HEADER` for an invalid name,
 * `FORBIDDEN` for a reserved one.
 */
export function proxiedCaller(headers: Headers): Caller {
  const tenant = namedTenant(headers);
  if (tenant === undefined)
    throw unauthenticated('Millrace-Tenant', 'is missing: the proxy must set it to the caller’s tenant');
  if (isReserved(tenant)) {
    const message = `"${tenant}" is reserved: rename the tenant`;
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
