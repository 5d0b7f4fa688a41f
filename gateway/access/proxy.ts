import { createHash, timingSafeEqual } from 'node:crypto';
import { MillraceError } from '../../pipelines/errors.js';
import { type Caller, type Headers, invalidHeader, namedTenant } from './caller.js';
import { isPermission, PERMISSIONS, type Permission } from './permissions.js';
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
const PERMISSIONS_HEADER = 'millrace-permissions';
/** Visible ASCII: a user name, an e-mail address, the subject of a token. */
const USER = /^[\x21-\x7e]{1,200}$/;

/** What a caller may do whose permissions the proxy does not send. Not `metrics`: those are of all tenants. */
const USUAL: readonly Permission[] = ['run', 'read', 'approve'];

/** Whether the request has the proxy's secret. Constant time. */
export function isFromProxy({ secrets = [] }: ProxyInFront, headers: Headers): boolean {
  if (secrets.length === 0) return true;
  const given = headers[SECRET_HEADER];
  const hash = hashOf(typeof given === 'string' ? given : '');
  return secrets.map((secret) => timingSafeEqual(hashOf(secret), hash)).includes(true);
}

/**
 * The caller that the proxy names. Throws `UNAUTHENTICATED` without a tenant, `INVALID_HEADER` for an invalid name or unknown permissions,
 * `FORBIDDEN` for a reserved tenant.
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
  const permissions = permissionsIn(headers);
  const user = headers[USER_HEADER];
  if (user === undefined) return { tenant, permissions };
  if (typeof user === 'string' && USER.test(user)) return { tenant, user, permissions };
  throw invalidHeader('Millrace-User', 'must be 1 to 200 visible ASCII characters');
}

function permissionsIn({ [PERMISSIONS_HEADER]: given }: Headers): readonly Permission[] {
  if (given === undefined) return USUAL;
  // No spaces: Node joins repeated headers by ", ", and a proxy that adds its own to the client’s would permit what the client asks for.
  const names = typeof given === 'string' ? given.split(',') : [];
  if (names.length > 0 && names.every(isPermission)) return names;
  throw invalidHeader(
    'Millrace-Permissions',
    `must be one or more of ${PERMISSIONS.join(', ')}, separated by commas without spaces, and sent once`,
  );
}

export const unauthenticated = (field: string, message: string): MillraceError =>
  new MillraceError('UNAUTHENTICATED', `${field} ${message}`, { fields: [{ field, message }] });

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();
