import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { Caller as RunCaller } from '../../runs/caller.js';
import { isTenant } from '../../stores/artifacts/index.js';
import type { ApiKey, Permission } from './api-key.js';
import type { RateState } from './request-rate.js';

const DEFAULT_TENANT = 'default';
/** Visible ASCII; long enough for a UUID with a prefix, or a hash. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export const TENANT_HEADER = 'millrace-tenant';

/** Headers of HTTP, or metadata of gRPC: names in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Who makes a request, as the gateway has authenticated it. */
export interface Caller extends RunCaller {
  /** What the caller has shown; absent where callers need none. */
  readonly key?: ApiKey;
  /** What its rate has left after this request; absent where it has none. */
  readonly rate?: RateState;
}

/** Who makes a request, as the hook of `authenticateRequests` has found out: it may do what the route does. */
export function callerOf({ caller }: FastifyRequest): Caller {
  // Every route but those marked `open` has been through the hook, and they have no caller.
  if (caller === undefined) throw new MillraceError('INTERNAL', 'the route is open: it has no caller');
  return caller;
}

/** Throws `FORBIDDEN` when the caller's key does not allow it. */
export function requirePermission({ key }: Caller, permission: Permission): void {
  if (key === undefined || key.permissions.includes(permission)) return;
  const message = `the key ${key.id} has not the permission "${permission}"; it has ${key.permissions.join(', ')}`;
  throw new MillraceError('FORBIDDEN', message, { fields: [{ field: 'Authorization', message }] });
}

/** What a route does, by its method, where it does not say. */
export const usualOf = (method: string): Permission => (method === 'GET' || method === 'HEAD' ? 'read' : 'run');

/** The tenant that `Millrace-Tenant` names, if the header is there. Throws `INVALID_HEADER`. */
export function namedTenant(headers: Headers): string | undefined {
  const tenant = headers[TENANT_HEADER];
  if (tenant === undefined) return undefined;
  if (typeof tenant === 'string' && isTenant(tenant)) return tenant;
  const message = 'must be 1 to 63 lower-case letters, digits, dots, dashes and underscores, a letter or digit first';
  throw invalidHeader('Millrace-Tenant', message);
}

/** The caller where nobody has to show a key: whoever it says it is. */
export const statedCaller = (headers: Headers): Caller => ({ tenant: namedTenant(headers) ?? DEFAULT_TENANT });

/** The key under which the caller may send this request again (draft-ietf-httpapi-idempotency-key-header). */
export function idempotencyKeyOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return key;
  throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
}

export const invalidHeader = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_HEADER', `${field} ${message}`, { fields: [{ field, message }] });
