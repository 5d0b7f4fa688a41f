import { MillraceError } from '../../pipelines/errors.js';
import type { Rate } from '../../stores/rates/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import type { KeyRing } from './api-key.js';
import { type Caller, type Headers, namedTenant, statedCaller } from './caller.js';
import { isKey } from './key-form.js';
import { refuseStrangers } from './own-machine.js';
import { isFromProxy, type ProxyInFront, proxiedCaller, unauthenticated } from './proxy.js';
import { RateExceededError, type RateState, type RequestRate } from './request-rate.js';
import type { Tokens } from './tokens/index.js';
import { traceOf } from './trace.js';
import { WrongKeys } from './wrong-keys.js';

/**
 * How callers are authenticated: by keys, and tokens of an identity provider; by a proxy in front, which authenticates itself and
 * sets `Millrace-Tenant`; or not at all, because only this machine can reach the gateway.
 */
export type Access =
  | {
      readonly by: 'key';
      readonly keys: KeyRing;
      /** Absent: no tokens are accepted. */
      readonly tokens?: Tokens | undefined;
    }
  | ({ readonly by: 'proxy' } & ProxyInFront)
  | {
      readonly by: 'loopback';
      /** Origins of other sites whose pages may call the gateway. */
      readonly origins?: readonly string[] | undefined;
    };

/**
 * Limits of each tenant, unless its key has its own. Unauthenticated callers have no limits: they cannot be told apart.
 */
export interface TenantLimits {
  /** Absent: unlimited. */
  readonly rate?: Rate | undefined;
  /** Most concurrent runs. Absent: unlimited. */
  readonly runs?: number | undefined;
  readonly requests: RequestRate;
}

/** Credentials of a request, independent of the protocol. */
export interface Shown {
  /** HTTP headers or gRPC metadata. */
  readonly headers: Headers;
  /** The peer's IP address. */
  readonly address: string;
}

/** Longest secret that is looked up: twice the length of a key. */
const LONGEST_SECRET = 128;

/** Authenticates requests and applies rate limits. Shared by all doors of a gateway. */
export class Authenticator {
  readonly #access: Access;
  readonly #limits: TenantLimits | undefined;
  readonly #wrong: WrongKeys;
  readonly #warnings: RationedWarnings;

  constructor(access: Access, logger: Logger, limits?: TenantLimits) {
    this.#access = access;
    this.#limits = access.by === 'loopback' ? undefined : limits;
    this.#wrong = new WrongKeys(logger);
    this.#warnings = new RationedWarnings(logger);
  }

  /** What accepts tokens of an identity provider; undefined if they are not accepted. */
  get tokens(): Tokens | undefined {
    return this.#access.by === 'key' ? this.#access.tokens : undefined;
  }

  /**
   * Throws `UNAUTHENTICATED` without a valid key, token or proxy secret, `ISSUER_UNAVAILABLE` for tokens that cannot be verified,
   * `RATE_LIMITED` after too many of these or above the caller's rate, `FORBIDDEN` if `Millrace-Tenant` is not the caller's tenant,
   * the token names no caller, or the request is from another site's page, `INVALID_HEADER`.
   * @param requests by how many requests the caller's rate is used up; 0 for one that has been counted before
   */
  async authenticate(shown: Shown, requests = 1): Promise<Caller> {
    const trace = traceOf(shown.headers);
    const caller = { ...(await this.#identify(shown)), ...(trace !== undefined && { trace }) };
    // Who may do nothing is told so, and uses up no tenant's rate.
    if (this.#limits === undefined || caller.permissions?.length === 0) return caller;
    const runs = this.#runsOf(caller);
    const rate = requests > 0 ? await this.#take(caller, this.#limits, requests) : undefined;
    return { ...caller, ...(rate && { rate }), ...(runs && { runs }) };
  }

  /** Counts further requests of an authenticated caller. Throws `RATE_LIMITED`. */
  async charge(caller: Caller, requests: number): Promise<void> {
    if (this.#limits !== undefined && requests > 0) await this.#take(caller, this.#limits, requests);
  }

  async #identify({ headers, address }: Shown): Promise<Caller> {
    if (this.#access.by === 'proxy') {
      if (isFromProxy(this.#access, headers)) return proxiedCaller(headers);
      await this.#wrong.count(address);
      throw unauthenticated('Millrace-Proxy-Secret', 'is not the secret of the proxy in front of this gateway');
    }
    if (this.#access.by === 'loopback') {
      refuseStrangers(headers, this.#access.origins);
      return statedCaller(headers);
    }
    const { keys, tokens } = this.#access;
    const caller = byKey(keys, headers) ?? (tokens && (await this.#byToken(tokens, headers, address)));
    if (caller === undefined) {
      await this.#wrong.count(address);
      const send = `must be "Bearer <key${tokens ? ' or token' : ''}>"`;
      const message = secretOf(headers) === '' ? send : 'holds a key that is unknown, expired or revoked';
      throw unauthenticated('Authorization', message);
    }
    const named = namedTenant(headers);
    if (named === undefined || named === caller.tenant) return caller;
    const message = `the ${caller.token ? 'token' : 'key'} belongs to the tenant "${caller.tenant}"`;
    throw new MillraceError('FORBIDDEN', `Millrace-Tenant: ${message}`, {
      fields: [{ field: 'Millrace-Tenant', message }],
    });
  }

  /** The caller of a token; undefined if the request has none. */
  async #byToken(tokens: Tokens, headers: Headers, address: string): Promise<Caller | undefined> {
    const token = tokenOf(headers);
    if (token === undefined) return undefined;
    const caller = await tokens.callerOf(token).catch(async (error: unknown) => {
      await this.#wrong.count(address);
      throw error;
    });
    // Some providers give tokens to anybody.
    if (caller.permissions?.length === 0) await this.#wrong.count(address);
    return caller;
  }

  async #take({ tenant, key }: Caller, { rate, requests }: TenantLimits, count = 1): Promise<RateState | undefined> {
    try {
      if (key?.limits?.rate) return await requests.take('key', key.id, key.limits.rate, count);
      return rate && (await requests.take('tenant', tenant, rate, count));
    } catch (error) {
      if (error instanceof RateExceededError)
        this.#warnings.warn(
          'rate',
          { tenant, ...(key && { key: key.id }) },
          'rate limit exceeded: requests are rejected',
        );
      throw error;
    }
  }

  #runsOf({ tenant, key }: Caller): Caller['runs'] {
    const own = key?.limits?.runs;
    if (key && own !== undefined) return { of: `key:${key.id}`, most: own };
    const most = this.#limits?.runs;
    return most === undefined ? undefined : { of: `tenant:${tenant}`, most };
  }
}

/** The caller of a key; undefined if it is not valid. */
function byKey(keys: KeyRing, headers: Headers): Caller | undefined {
  const secret = secretOf(headers);
  const key = secret.length <= LONGEST_SECRET ? keys.find(secret) : undefined;
  if (key === undefined) return undefined;
  const { tenant, permissions, pipelines } = key;
  return { tenant, permissions, ...(pipelines && { pipelines }), key };
}

/**
 * The key of `Authorization: Bearer <key>` (RFC 6750 §2.1), or of `x-api-key` for clients that cannot send it; empty if
 * there is none.
 */
function secretOf({ authorization, 'x-api-key': apiKey }: Headers): string {
  const [given] = [authorization].flat();
  return given === undefined ? ([apiKey].flat()[0] ?? '') : (bearerIn(given) ?? '');
}

/** The token of `Authorization: Bearer <token>`: every bearer that has not the form of a key. */
function tokenOf({ authorization }: Headers): string | undefined {
  const [given] = [authorization].flat();
  const bearer = given === undefined ? undefined : bearerIn(given);
  return bearer === undefined || isKey(bearer) ? undefined : bearer;
}

const bearerIn = (authorization: string): string | undefined => /^bearer +(\S+) *$/i.exec(authorization)?.[1];
