import {
  errors,
  type JWSAlgorithm,
  type JWTPayload,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Caller } from '../caller.js';
import type { Permission } from '../permissions.js';
import { InvalidTokenError, scopeOf } from '../token-errors.js';
import { type ClaimRules, callerOfClaims } from './claims.js';
import type { ProviderKeys } from './provider-keys.js';

/** Signatures that are made with a private key: with a shared secret, the gateway could make tokens itself. */
const ALGORITHMS: readonly JWSAlgorithm[] = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
];
/** How far the clocks of provider and gateway may differ, in seconds. */
const CLOCK_S = 30;
/** Longest token, in characters; all headers of a request together have at most 16 KiB. */
const LONGEST_TOKEN = 8_192;
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Types of access tokens; other JWTs of a provider, such as those that end a session, name another. */
const TYPE = /^(application\/)?(at\+)?jwt$/i;
/** What clients ask for before they know what they need. */
const FIRST: readonly Permission[] = ['read', 'run'];

export interface TokenRules extends ClaimRules {
  /** As the provider calls itself in `iss`. */
  readonly issuer: string;
  /** A token must be for one of these (`aud`). */
  readonly audiences: readonly string[];
}

/** Authenticates callers by access tokens of an identity provider: JWTs that it has signed (RFC 9068, RFC 8725). */
export class Tokens {
  readonly issuer: string;
  /** The scopes that clients should ask for at first. Empty if tokens have their permissions without scopes. */
  readonly scopes: readonly string[];
  readonly #rules: TokenRules;
  readonly #keys: ProviderKeys;
  readonly #options: JWTVerifyOptions;

  constructor(rules: TokenRules, keys: ProviderKeys) {
    const { issuer, audiences, permissionClaims, permissions } = rules;
    this.issuer = issuer;
    const scoped = permissionClaims.some((name) => name === 'scope' || name === 'scp');
    this.scopes = scoped ? FIRST.filter((each) => !permissions.includes(each)).map(scopeOf) : [];
    this.#rules = rules;
    this.#keys = keys;
    this.#options = {
      algorithms: [...ALGORITHMS],
      issuer,
      audience: [...audiences],
      clockTolerance: CLOCK_S,
      requiredClaims: ['exp'],
    };
  }

  /**
   * The caller that a token describes. Throws `UNAUTHENTICATED` if it is not valid, `ISSUER_UNAVAILABLE` if that cannot be told,
   * and `FORBIDDEN` if it is valid and its claims describe no caller.
   */
  async callerOf(token: string): Promise<Caller> {
    return callerOfClaims(await this.#verified(token), this.#rules);
  }

  /** Throws `ISSUER_UNAVAILABLE` while the provider cannot be read. */
  check(): Promise<void> {
    return this.#keys.check();
  }

  close(): void {
    this.#keys.close();
  }

  async #verified(token: string): Promise<JWTPayload> {
    if (token.length > LONGEST_TOKEN) throw new InvalidTokenError(`is longer than ${LONGEST_TOKEN} characters`);
    if (!SHAPE.test(token)) throw new InvalidTokenError('is neither a key of this gateway nor a signed JWT');
    // Where the header says that its key is found (`jku`, `x5u`, `jwk`) is not read: keys are the provider's.
    const verified = await jwtVerify(token, this.#keys.keyOf, this.#options).catch((error: unknown) => {
      throw error instanceof MillraceError ? error : new InvalidTokenError(whyInvalid(error));
    });
    refuseOtherKinds(verified);
    return verified.payload;
  }
}

/** Throws `UNAUTHENTICATED` for signed JWTs that are no bearer tokens for access. */
function refuseOtherKinds({ payload, protectedHeader: { typ } }: JWTVerifyResult): void {
  const { typ: kind, at_hash: ofAnother, cnf } = payload;
  // Keycloak names the kind in the payload: Bearer, ID, Refresh.
  const named = (typ === undefined || TYPE.test(typ)) && (kind === undefined || /^bearer$/i.test(String(kind)));
  // Only an ID token has the hash of an access token; not all have it.
  if (!named || ofAnother !== undefined) throw new InvalidTokenError('is no access token');
  // Whoever shows it would have to prove that it has that key (RFC 8705, RFC 9449).
  if (cnf !== undefined)
    throw new InvalidTokenError('is bound to a key of its client (cnf), and bearer tokens are not');
}

const WRONG_CLAIMS: Readonly<Record<string, string>> = {
  iss: 'is of another issuer',
  aud: 'is for another audience',
  nbf: 'is not valid yet',
  exp: 'does not say when it expires (exp)',
};

/** Why jose rejects a token. Its own messages are about its options. */
function whyInvalid(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return WRONG_CLAIMS[error.claim] ?? 'has an unusable claim';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'is signed by an algorithm that is not accepted';
  if (error instanceof errors.JWKSNoMatchingKey) return 'is signed by a key that the identity provider does not have';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'does not say which key has signed it (kid)';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'has a wrong signature';
  return 'is no JWT that can be verified';
}
