import { MillraceError } from '../../../../pipelines/errors.js';
import type { Transport } from '../../exchange.js';
import type { Api } from '../api.js';
import { type Authorizer, authorizing } from './authorizer.js';
import { awsAuthorizer } from './aws.js';
import { googleAuthorizer } from './google.js';
import { easAuthorizer } from './pai-eas.js';

/** The key of a pool as its requests carry it. */
export interface Credential {
  readonly headers: Readonly<Record<string, string>>;
  /** Sends requests with what depends on each of them, or on the time. Absent: `headers` are all. */
  readonly through?: (send: Transport) => Transport;
  /** The error without the key, which a server may have repeated. */
  withoutKey(error: MillraceError): MillraceError;
}

/** How a pool's key is sent. */
export type CredentialKind = NonNullable<Api['credential']>;

/** Shorter keys are placeholders that occur in ordinary text. */
const SHORTEST_SECRET = 8;

/** Throws `INVALID_SETTING` for a key that is not of its kind. */
export function credentialOf(
  key: string | undefined,
  as: Api['credential'] = 'bearer',
  values: Api['values'] = {},
): Credential {
  if (key === undefined) return { headers: {}, withoutKey: (error) => error };
  const by = authorizerOf(key, as, values);
  if (by) return { headers: {}, through: authorizing(by), withoutKey: (error) => without(by.secrets(), error) };
  const basic = Buffer.from(key, 'utf8').toString('base64');
  const secrets = [key, basic, ...key.split(':').slice(1)];
  return { headers: headersOf(key, basic, as), withoutKey: (error) => without(secrets, error) };
}

function without(all: readonly string[], error: MillraceError): MillraceError {
  const message = all
    .filter((each) => each.length >= SHORTEST_SECRET)
    .reduce((text, secret) => cutOff(text.replaceAll(secret, '***'), secret), error.message);
  if (message === error.message) return error;
  // The cause holds the answer, and so the key.
  return new MillraceError(error.code, message, error.details);
}

/** A message that was shortened within a secret ends with the secret's beginning. */
function cutOff(text: string, secret: string): string {
  if (!text.endsWith('…')) return text;
  const kept = text.slice(0, -1);
  for (let length = Math.min(secret.length - 1, kept.length); length >= SHORTEST_SECRET; length--)
    if (kept.endsWith(secret.slice(0, length))) return `${kept.slice(0, -length)}***…`;
  return text;
}

function authorizerOf(key: string, as: CredentialKind, values: Api['values']): Authorizer | undefined {
  if (typeof as === 'string') return undefined;
  if ('token' in as) return googleAuthorizer(key, as.scope);
  if (!('sign' in as)) return undefined;
  if (as.sign === 'pai-eas') return easAuthorizer(key);
  return awsAuthorizer(key, { region: regionOf(as, values), service: as.service });
}

/** The region of a signature: its own, or the value `region`. */
export const regionOf = (as: Api['credential'], { region = '' }: Api['values']): string =>
  (typeof as === 'object' && 'region' in as && as.region) || String(region);

function headersOf(key: string, basic: string, as: CredentialKind): Record<string, string> {
  if (as === 'bearer') return { authorization: `Bearer ${key}` };
  if (as === 'basic') return { authorization: `Basic ${basic}` };
  return 'header' in as ? { [as.header.toLowerCase()]: `${as.prefix}${key}` } : {};
}
