import {
  errors,
  type JWSAlgorithm,
  type JWTPayload,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject } from '../../../pipelines/json.js';
import type { Caller } from '../caller.js';
import type { Permission } from '../permissions.js';
import { InvalidTokenError, scopeOf } from '../token-errors.js';
import { type ClaimRules, callerOfClaims, claimOf, isScopes } from './claims.js';
import { addressOf, isOfTenants, issuerOfTenant, issuersOf } from './issuer.js';
import type { ProviderKeys } from './provider-keys.js';

/** Signatures that are made with a private key: with a shared secret, the gateway could make tokens itself. */
const ALGORITHMS: readonly JWSAlgorithm[] = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
];
/** How far the clocks of provider and gateway may differ, in seconds. */
const CLOCK_S = 30;
/**
 * Longest token, in characters; all headers of a request together have at most 16 KiB. The 200 groups that Entra puts into a
 * token make it 12,000 long.
 */
const LONGEST_TOKEN = 14_336;
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Types of access tokens; other JWTs of a provider, such as those that end a session, name another. */
const TYPE = /^(application\/)?(at\+)?jwt$/i;
/** What clients ask for before they know what they need. */
const FIRST: readonly Permission[] = ['read', 'run'];

export interface TokenRules extends ClaimRules {
  /** As the provider calls itself in `iss`; `{tenantid}` in it stands for the tenants, each of which has an issuer of its own. */
  readonly issuer: string;
  /** A token must be for one of these. */
  readonly audiences: readonly string[];
  /** The claim that has the audience: `aud`, or another one at providers that write none. */
  readonly audienceClaim: string;
}

/** Authenticates callers by access tokens of an identity provider: JWTs that it has signed (RFC 9068, RFC 8725). */
export class Tokens {
  /** Address of the issuer. */
  readonly issuer: string;
  /** What clients put before the names of scopes when they ask for them. */
  readonly scopePrefix: string;
  /** The scopes that clients should ask for at first. Empty if tokens have their permissions without scopes. */
  readonly scopes: readonly string[];
  readonly #rules: TokenRules;
  readonly #keys: ProviderKeys;
  readonly #options: JWTVerifyOptions;

  constructor(rules: TokenRules, keys: ProviderKeys) {
    const { issuer, audiences, audienceClaim, tenants, permissionClaims, permissions, scopePrefix } = rules;
    this.issuer = addressOf(issuer);
    this.scopePrefix = scopePrefix;
    const scoped = permissionClaims.some(isScopes);
    const first = scoped ? FIRST.filter((each) => !permissions.includes(each)) : [];
    this.scopes = first.map((each) => scopePrefix + scopeOf(each));
    this.#rules = rules;
    this.#keys = keys;
    this.#options = {
      algorithms: [...ALGORITHMS],
      issuer: [...issuersOf(issuer, tenants)],
      ...(audienceClaim === 'aud' && { audience: [...audiences] }),
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
    this.#refuseOthersTokens(verified.payload);
    return verified.payload;
  }

  /** Throws `UNAUTHENTICATED` for tokens of another tenant's issuer, or for another audience. */
  #refuseOthersTokens(payload: JWTPayload): void {
    const { issuer, audiences, audienceClaim } = this.#rules;
    // Both name the tenant, and must name the same one.
    if (isOfTenants(issuer) && payload.iss !== issuerOfTenant(issuer, String(payload.tid)))
      throw new InvalidTokenError(WRONG_CLAIMS.iss);
    if (audienceClaim === 'aud') return;
    const isForThis = (given: unknown) => [given].flat().some((each) => audiences.some((name) => name === each));
    // Where a token has an audience as well, it is not for anybody else (RFC 7519 §4.1.3).
    if (!isForThis(claimOf(payload, audienceClaim)) || (payload.aud !== undefined && !isForThis(payload.aud)))
      throw new InvalidTokenError(WRONG_CLAIMS.aud);
  }
}

/** Throws `UNAUTHENTICATED` for signed JWTs that are no bearer tokens for access. */
function refuseOtherKinds({ payload, protectedHeader: { typ } }: JWTVerifyResult): void {
  if ((typ !== undefined && !TYPE.test(typ)) || isOfAnotherKind(payload))
    throw new InvalidTokenError('is no access token');
  // Whoever shows it would have to prove that it has that key (RFC 8705, RFC 9449).
  if (payload.cnf !== undefined)
    throw new InvalidTokenError('is bound to a key of its client (cnf), and bearer tokens are not');
}

/** Whether the claims of a token say that it is not for access. Those of some ID tokens do not say so. */
function isOfAnotherKind(payload: JWTPayload): boolean {
  const { typ: kind, token_use: use, at_hash: ofToken, c_hash: ofCode, s_hash: ofState, events } = payload;
  const { ver: version, tid, azp, appid } = payload;
  return (
    // Keycloak names the kind in the payload: Bearer, ID, Refresh. Cognito: access, id.
    (kind !== undefined && !/^bearer$/i.test(String(kind))) ||
    (use !== undefined && use !== 'access') ||
    // Only an ID token has hashes of what was given with it; not all have them.
    [ofToken, ofCode, ofState].some((hash) => hash !== undefined) ||
    // A token that ends a session (OpenID Connect Back-Channel Logout 1.0 §2.4), or tells of another event (RFC 8417).
    isJsonObject(events) ||
    // Entra’s access tokens name the client: version 1 in `appid`, version 2 in `azp`. Its ID tokens do not.
    (tid !== undefined && (version === '1.0' || version === '2.0') && azp === undefined && appid === undefined)
  );
}

const WRONG_CLAIMS = {
  iss: 'is of another issuer',
  aud: 'is for another audience',
  nbf: 'is not valid yet',
  exp: 'does not say when it expires (exp)',
} as const;
const isNamed = (claim: string): claim is keyof typeof WRONG_CLAIMS => Object.hasOwn(WRONG_CLAIMS, claim);

/** Why jose rejects a token. Its own messages are about its options. */
function whyInvalid(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'has expired';
  if (error instanceof errors.JWTClaimValidationFailed)
    return isNamed(error.claim) ? WRONG_CLAIMS[error.claim] : 'has an unusable claim';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'is signed by an algorithm that is not accepted';
  if (error instanceof errors.JWKSNoMatchingKey) return 'is signed by a key that the identity provider does not have';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'does not say which key has signed it (kid)';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'has a wrong signature';
  return 'is no JWT that can be verified';
}
