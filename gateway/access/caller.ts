import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { Caller as RunCaller } from '../../runs/caller.js';
import { isTenant } from '../../stores/artifacts/index.js';
import type { ApiKey } from './api-key.js';
import type { Permission } from './permissions.js';
import type { RateState } from './request-rate.js';
import { InsufficientScopeError } from './token-errors.js';

const DEFAULT_TENANT = 'default';
/** Visible ASCII, long enough for a UUID with a prefix, or a hash. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export const TENANT_HEADER = 'millrace-tenant';

/** HTTP headers or gRPC metadata, with names in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The authenticated caller of a request. */
export interface Caller extends RunCaller {
  /** What it may do. Absent: everything. */
  readonly permissions?: readonly Permission[];
  /** The caller's key; absent if it has none. */
  readonly key?: ApiKey;
  /** Whether a token of the identity provider has authenticated it. */
  readonly token?: true;
  /** State of the caller's rate limit after this request; absent if it has none. */
  readonly rate?: RateState;
}

/** The caller that `authenticateRequests` has set; it has the permission of the route. */
export function callerOf({ caller }: FastifyRequest): Caller {
  // Only `open` routes have no caller.
  if (caller === undefined) throw new MillraceError('INTERNAL', 'the route is open: it has no caller');
  return caller;
}

/** Whether the caller has a permission; without authentication every caller has all. */
export const holds = ({ permissions }: Caller, permission: Permission): boolean =>
  permissions === undefined || permissions.includes(permission);

/** Throws `FORBIDDEN`, naming all that are missing, unless the caller has all these permissions. */
export function requirePermission(caller: Caller, ...needed: readonly Permission[]): void {
  const missing = needed.filter((permission) => !holds(caller, permission));
  if (missing.length === 0) return;
  const { permissions = [], key } = caller;
  const whose = key ? `the key ${key.id}` : caller.token ? 'the token' : 'the caller that the proxy names';
  const lacks = `permission${missing.length > 1 ? 's' : ''} ${missing.map((each) => `"${each}"`).join(' and ')}`;
  const message = `${whose} lacks the ${lacks}; it has ${permissions.join(', ') || 'none'}`;
  if (caller.token) throw new InsufficientScopeError(message, [...permissions, ...missing]);
  const field = key ? 'Authorization' : 'Millrace-Permissions';
  throw new MillraceError('FORBIDDEN', message, { fields: [{ field, message }] });
}

/** The default permission of a route, by its method. */
export const usualOf = (method: string): Permission => (method === 'GET' || method === 'HEAD' ? 'read' : 'run');

/** The tenant in `Millrace-Tenant`, if present. Throws `INVALID_HEADER`. */
export function namedTenant(headers: Headers): string | undefined {
  const tenant = headers[TENANT_HEADER];
  if (tenant === undefined) return undefined;
  if (typeof tenant === 'string' && isTenant(tenant)) return tenant;
  const message = 'must be 1 to 63 lower-case letters, digits, dots, dashes and underscores, a letter or digit first';
  throw invalidHeader('Millrace-Tenant', message);
}

/** The caller without authentication: the tenant that the request names. */
export const statedCaller = (headers: Headers): Caller => ({ tenant: namedTenant(headers) ?? DEFAULT_TENANT });

/** The idempotency key of the request (draft-ietf-httpapi-idempotency-key-header). */
export function idempotencyKeyOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return key;
  throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
}

export const invalidHeader = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_HEADER', `${field} ${message}`, { fields: [{ field, message }] });
