import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject } from '../../../pipelines/json.js';
import { isTenant } from '../../../stores/artifacts/index.js';
import type { Caller } from '../caller.js';
import type { Grants } from '../grants.js';
import { PERMISSIONS, type Permission } from '../permissions.js';
import { isReserved } from '../reserved-tenants.js';
import { scopeOf } from '../token-errors.js';

/** What the claims of a token mean. The name of a claim may be a path: `realm_access.roles`. */
export interface ClaimRules {
  /** The tenant of all tokens. Absent: the claim `tenantClaim` names it. */
  readonly tenant?: string | undefined;
  readonly tenantClaim: string;
  /** The tenants that a token may name. Absent: all. */
  readonly tenants?: readonly string[] | undefined;
  readonly userClaim: string;
  /** The claim with the names of the pipelines that a token is for. Absent: a token is for all. */
  readonly pipelinesClaim?: string | undefined;
  /** The claims that may have permissions. The first one that a token has decides alone. */
  readonly permissionClaims: readonly string[];
  /** What values of these claims permit, besides the scopes and roles that are named after permissions. */
  readonly grants: Grants;
  /** What the provider puts before the names of scopes; tokens have them with it or without. */
  readonly scopePrefix: string;
  /** What every token may do, whatever its claims. */
  readonly permissions: readonly Permission[];
}

/** Visible ASCII; a subject has at most 255 characters (OpenID Connect Core 1.0 §2). */
const USER = /^[\x21-\x7e]{1,255}$/;

/**
 * The caller that the claims of a verified token describe. Throws `FORBIDDEN` if they name no tenant or user, a reserved
 * tenant, or no list of pipelines where one is required: another token of the same kind would not help.
 */
export function callerOfClaims(claims: unknown, rules: ClaimRules): Caller {
  const pipelines = pipelinesIn(claims, rules);
  return {
    tenant: tenantIn(claims, rules),
    user: userIn(claims, rules),
    permissions: permissionsIn(claims, rules),
    ...(pipelines && { pipelines }),
    token: true,
  };
}

function tenantIn(claims: unknown, { tenant, tenantClaim, tenants }: ClaimRules): string {
  if (tenant !== undefined) return tenant;
  const named = single(claimOf(claims, tenantClaim));
  if (named === undefined) throw unusable(tenantClaim, 'must be one text, the name of the tenant');
  // A name with other letters is not changed to fit: two tenants could become one.
  if (!isTenant(named))
    throw unusable(tenantClaim, 'is no tenant: 1 to 63 lower-case letters, digits, dots, dashes and underscores');
  if (isReserved(named)) throw unusable(tenantClaim, `names the tenant "${named}", which is reserved`);
  if (tenants !== undefined && !tenants.includes(named))
    throw unusable(tenantClaim, `names the tenant "${named}", whose tokens are not accepted`);
  return named;
}

function userIn(claims: unknown, { userClaim }: ClaimRules): string {
  const user = claimOf(claims, userClaim);
  if (typeof user === 'string' && USER.test(user)) return user;
  throw unusable(userClaim, 'must be 1 to 255 visible ASCII characters, which name the user');
}

function permissionsIn(claims: unknown, rules: ClaimRules): readonly Permission[] {
  const { permissionClaims, permissions, grants, scopePrefix } = rules;
  const decisive = permissionClaims.find((name) => isElsewhere(claims, name) || claimOf(claims, name) !== undefined);
  const given = decisive === undefined ? undefined : claimOf(claims, decisive);
  const words = wordsOf(given) ?? [];
  // A text is one value, which may have spaces, unless it is a list of scopes: nobody gets a grant by a part of their name.
  const isOne = typeof given === 'string' && !isScopes(decisive);
  const values = isOne ? [given] : words;
  // Where grants are for such texts, whoever chooses the text must not name permissions in it.
  const named = isOne && grants.size > 0 ? [] : words;
  const granted = values.flatMap((value) => grants.get(value) ?? []);
  const names = (permission: Permission) => [scopeOf(permission), scopePrefix + scopeOf(permission)];
  const held = PERMISSIONS.filter(
    (each) => permissions.includes(each) || granted.includes(each) || names(each).some((name) => named.includes(name)),
  );
  if (held.length === 0 && decisive !== undefined && isElsewhere(claims, decisive))
    throw unusable(decisive, 'has been left out by the provider, which has too many values of it: use fewer, or roles');
  return held;
}

/** Whether a claim is a list of scopes, as a text with spaces at most providers. */
export const isScopes = (claim: string | undefined): boolean => claim === 'scope' || claim === 'scp';

/**
 * Whether the provider has left a claim out and named another place for it (OpenID Connect Core 1.0 §5.6.2): Entra does so with
 * more than 200 groups. A token has such a claim: another one must not decide in its place.
 */
function isElsewhere(claims: unknown, name: string): boolean {
  if (!isJsonObject(claims)) return false;
  const { _claim_names: names, hasgroups } = claims;
  return (isJsonObject(names) && Object.hasOwn(names, name)) || (name === 'groups' && hasgroups === true);
}

function pipelinesIn(claims: unknown, { pipelinesClaim }: ClaimRules): readonly string[] | undefined {
  if (pipelinesClaim === undefined) return undefined;
  const names = wordsOf(claimOf(claims, pipelinesClaim));
  if (names === undefined) throw unusable(pipelinesClaim, 'must be a list of names of pipelines');
  return names;
}

/** A text, or a list of one; organisations are lists at some providers. */
function single(value: unknown): string | undefined {
  const [first, ...others] = [value].flat();
  return typeof first === 'string' && others.length === 0 ? first : undefined;
}

/** A list of texts, or a text with spaces between its words (RFC 6749 §3.3). */
function wordsOf(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '');
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : undefined;
}

/** A claim by its whole name, which may be a URL with dots, else by its path. */
export function claimOf(claims: unknown, name: string): unknown {
  if (!isJsonObject(claims)) return undefined;
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const head = name.slice(0, dot);
    if (!Object.hasOwn(claims, head)) continue;
    const found = claimOf(claims[head], name.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

function unusable(claim: string, why: string): MillraceError {
  const message = `the claim "${claim}" of the token ${why}`;
  return new MillraceError('FORBIDDEN', message, { fields: [{ field: 'Authorization', message }] });
}
