import { type ApiKey, apiKeySchema, isActive, issueKey, PERMISSIONS } from '../gateway/access/index.js';
import { type Duration, durationMs } from '../pipelines/duration.js';
import { MillraceError } from '../pipelines/errors.js';
import { isTenant } from '../stores/artifacts/index.js';
import { changeKeys, readKeys } from '../workers/keys/index.js';
import { loadPipelines } from '../workers/pipelines.js';
import type { Settings } from '../workers/settings.js';
import { note, print, printJson, table } from './output.js';

/** Limits of one key; what is absent is limited as for the others of its tenant. */
export interface LimitKeyOptions {
  /** Requests a second. */
  readonly rate?: number;
  /** Concurrent runs. */
  readonly runs?: number;
}

export interface CreateKeyOptions extends LimitKeyOptions {
  readonly tenant: string;
  readonly name: string;
  readonly owner?: string;
  readonly pipelines?: readonly string[];
  readonly permissions: readonly string[];
  readonly expires?: string;
  readonly json?: boolean;
}

/** `millrace keys create`: prints the key, once, and nothing else to stdout. */
export async function createKey(settings: Settings, options: CreateKeyOptions): Promise<void> {
  const { tenant, name, owner, pipelines } = options;
  const file = fileOf(settings);
  if (!isTenant(tenant)) throw invalid('tenant', `"${tenant}" is not a tenant name such as "acme" or "team-1"`);
  const permissions = options.permissions.map(permissionOf);
  const expires = options.expires === undefined ? {} : { expiresAt: after(options.expires, 'expires') };
  await refuseUnknown(settings, pipelines);
  const { secret, key } = issueKey({
    name,
    tenant,
    ...(owner !== undefined && { owner: ownerOf(owner) }),
    ...(pipelines && { pipelines: [...pipelines] }),
    permissions,
    ...expires,
    ...limitsOf(options),
  });
  await changeKeys(file, (keys) => [...keys, key], { create: true });
  if (options.json) printJson({ id: key.id, key: secret });
  else print(secret);
  note(`key ${key.id} of tenant ${tenant} is stored in ${file} as a hash; it is not shown again`);
}

/** `millrace keys list` */
export function listKeys(settings: Settings, { json }: { json?: boolean }): void {
  const keys = readKeys(fileOf(settings));
  const rows = keys.map((key) => [
    key.id,
    stateOf(key),
    key.tenant,
    key.owner ?? key.id,
    key.pipelines?.join(', ') ?? 'all',
    key.permissions.join(', '),
    key.expiresAt ?? 'never',
    key.name,
  ]);
  if (json) printJson(keys.map(({ sha256: _, ...key }) => ({ ...key, state: stateOf(key) })));
  else print(table(['key', 'state', 'tenant', 'owner', 'pipelines', 'permissions', 'expires', 'name'], rows));
}

/** `millrace keys limit`: replaces the limits of a key. */
export async function limitKey(settings: Settings, id: string, options: LimitKeyOptions): Promise<void> {
  await changeKey(fileOf(settings), id, ({ limits: _, ...key }) => ({ ...key, ...limitsOf(options) }));
  const { rate, runs } = options;
  const own = [...(rate ? [`${rate} requests a second`] : []), ...(runs ? [`${runs} concurrent runs`] : [])];
  const now = own.length > 0 ? `may make ${own.join(' and have ')}` : 'has the limits of its tenant';
  note(`key ${id} ${now}; gateways apply it within a second`);
}

const limitsOf = ({ rate, runs }: LimitKeyOptions): Pick<ApiKey, 'limits'> =>
  rate || runs ? { limits: { ...(rate && { rate: { perSecond: rate } }), ...(runs && { runs }) } } : {};

/**
 * `millrace keys revoke`: revokes a key at once, or after the time that a client needs to switch to its new key. A key that ends
 * before that time, or has ended, stays as it is.
 */
export async function revokeKey(settings: Settings, id: string, { after: grace }: { after?: string }): Promise<void> {
  const file = fileOf(settings);
  if (grace === undefined) {
    const revokedAt = new Date().toISOString();
    await changeKey(file, id, (key) => ({ ...key, revokedAt }));
    note(`key ${id} is revoked; gateways apply it within a second`);
    return;
  }
  const expiresAt = after(grace, 'after');
  let told = '';
  await changeKey(file, id, (key) => {
    const why = whyKept(key, expiresAt);
    told = why === undefined ? `ends at ${expiresAt}; gateways apply it within a second` : `stays as it is: ${why}`;
    return why === undefined ? { ...key, expiresAt } : key;
  });
  note(`key ${id} ${told}`);
}

/** Why a key is not given an end; undefined if the end shortens its life. */
function whyKept(key: ApiKey, end: string): string | undefined {
  const state = stateOf(key);
  if (state !== 'active') return `it is ${state} already`;
  const { expiresAt } = key;
  const isEarlier = expiresAt !== undefined && Date.parse(expiresAt) <= Date.parse(end);
  return isEarlier ? `it ends at ${expiresAt} already` : undefined;
}

/** Changes one key of a file. Throws `INVALID_INPUT` if there is none. */
async function changeKey(file: string, id: string, change: (key: ApiKey) => ApiKey): Promise<void> {
  await changeKeys(
    file,
    (keys) => {
      if (!keys.some((key) => key.id === id)) throw invalid('key', `there is no key "${id}" in ${file}`);
      return keys.map((key) => (key.id === id ? change(key) : key));
    },
    { create: false },
  );
}

function fileOf({ MILLRACE_KEYS: file }: Settings): string {
  if (file !== undefined) return file;
  throw new MillraceError(
    'INVALID_SETTING',
    'MILLRACE_KEYS is not set: set it to the key file, such as MILLRACE_KEYS=keys.json',
    {
      fields: [{ field: 'MILLRACE_KEYS', message: 'is not set' }],
    },
  );
}

const stateOf = (key: Omit<ApiKey, 'sha256'>): string =>
  key.revokedAt !== undefined ? 'revoked' : isActive(key, Date.now()) ? 'active' : 'expired';

function ownerOf(text: string): string {
  if (apiKeySchema.shape.owner.safeParse(text).success) return text;
  throw invalid('owner', `"${text}" is neither an owner name such as "web-shop" nor the id of a key`);
}

function permissionOf(text: string): ApiKey['permissions'][number] {
  const found = PERMISSIONS.find((permission) => permission === text);
  if (found) return found;
  throw invalid('permissions', `unknown permission "${text}"; known: ${PERMISSIONS.join(', ')}`);
}

/** Rejects unknown pipelines: a misspelt name would create a key that can do nothing. */
async function refuseUnknown(settings: Settings, names: readonly string[] = []): Promise<void> {
  if (names.length === 0) return;
  const known = (await loadPipelines(settings)).map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalid('pipelines', `unknown pipeline "${unknown}"; known: ${known.join(', ')}`);
}

function after(duration: string, option: string): string {
  try {
    return new Date(Date.now() + durationMs(duration as Duration, option)).toISOString();
  } catch {
    throw invalid(option, `"${duration}" is not a duration such as "12h" or "90d"`);
  }
}

const invalid = (option: string, message: string) =>
  new MillraceError('INVALID_INPUT', `${option}: ${message}`, { fields: [{ field: option, message }] });
