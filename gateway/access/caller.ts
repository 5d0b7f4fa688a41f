import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { isTenant } from '../../activities/artifacts/index.js';
import { MillraceError } from '../../pipelines/errors.js';

const DEFAULT_TENANT = 'default';
/** Visible ASCII; long enough for a UUID with a prefix, or a hash. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export const TENANT_HEADER = 'millrace-tenant';

/**
 * The tenant that a request says it acts for, by header `Millrace-Tenant`.
 *
 * There is **no authentication yet**: whoever reaches the gateway can name any tenant. It binds to loopback by default;
 * put a proxy that authenticates and sets this header in front of it before you open it to others.
 */
function tenantOf(headers: IncomingHttpHeaders): string {
  const tenant = headers[TENANT_HEADER] ?? DEFAULT_TENANT;
  if (typeof tenant === 'string' && isTenant(tenant)) return tenant;
  const message = 'must be 1 to 63 lower-case letters, digits, dots, dashes and underscores, a letter or digit first';
  throw invalidHeader('Millrace-Tenant', message);
}

/** Who makes a request. */
export interface Caller {
  /** Whose runs, artifacts and cache entries the request is about. */
  readonly tenant: string;
}

/** Who makes a request; noted for its log line. Throws `INVALID_HEADER`. */
export function callerOf(request: FastifyRequest): Caller {
  const tenant = tenantOf(request.headers);
  request.notes.tenant = tenant;
  return { tenant };
}

/** The key under which the caller may send this request again (draft-ietf-httpapi-idempotency-key-header). */
export function idempotencyKeyOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return key;
  throw invalidHeader('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
}

export const invalidHeader = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_HEADER', `${field} ${message}`, { fields: [{ field, message }] });
