import type { Logger } from '../../activities/logger.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { KeyRing } from './api-key.js';
import { type Caller, type Headers, namedTenant, statedCaller } from './caller.js';
import { refuseStrangers } from './own-machine.js';
import { WrongKeys } from './wrong-keys.js';

/**
 * How callers are known: by keys; by a proxy in front, which authenticates them and sets `Millrace-Tenant`; or not at all,
 * because only this machine reaches the gateway.
 */
export type Access =
  | { readonly by: 'key'; readonly keys: KeyRing }
  | { readonly by: 'proxy' }
  | { readonly by: 'loopback' };

/** What a request shows, whichever protocol it came by. */
export interface Shown {
  /** Of HTTP, or gRPC's metadata. */
  readonly headers: Headers;
  /** The peer's IP address. */
  readonly address: string;
}

/** Longest secret that is looked at: twice what a key has. */
const LONGEST_SECRET = 128;

/** Tells who makes a request. One for all doors of a gateway. */
export class Authenticator {
  readonly #access: Access;
  readonly #wrong: WrongKeys;

  constructor(access: Access, logger: Logger) {
    this.#access = access;
    this.#wrong = new WrongKeys(logger);
  }

  /**
   * Throws `UNAUTHENTICATED` without a valid key, `RATE_LIMITED` after too many wrong ones, `FORBIDDEN` when
   * `Millrace-Tenant` is not the key's or a stranger's page asks, `INVALID_HEADER`.
   */
  async authenticate({ headers, address }: Shown): Promise<Caller> {
    if (this.#access.by === 'proxy') return statedCaller(headers);
    if (this.#access.by === 'loopback') {
      refuseStrangers(headers);
      return statedCaller(headers);
    }
    const secret = secretOf(headers);
    const key = secret.length <= LONGEST_SECRET ? this.#access.keys.find(secret) : undefined;
    if (key === undefined) {
      await this.#wrong.count(address);
      const message = secret === '' ? 'must be "Bearer <key>"' : 'holds a key that is unknown, expired or revoked';
      throw new MillraceError('UNAUTHENTICATED', `Authorization ${message}`, {
        fields: [{ field: 'Authorization', message }],
      });
    }
    const { tenant } = key;
    const named = namedTenant(headers);
    if (named === undefined || named === tenant) return { tenant, key };
    const message = `the key is the tenant "${tenant}"’s`;
    throw new MillraceError('FORBIDDEN', `Millrace-Tenant: ${message}`, {
      fields: [{ field: 'Millrace-Tenant', message }],
    });
  }
}

/** `Authorization: Bearer <key>` (RFC 6750 §2.1), or `x-api-key: <key>` for clients that cannot send it; else empty. */
function secretOf({ authorization, 'x-api-key': apiKey }: Headers): string {
  const [given] = [authorization].flat();
  if (given !== undefined) return /^bearer +(\S+) *$/i.exec(given)?.[1] ?? '';
  return [apiKey].flat()[0] ?? '';
}
