import { MillraceError } from '../../../pipelines/errors.js';
import type { Api } from './api.js';

/** The key of a pool as its requests carry it. */
export interface Credential {
  readonly headers: Readonly<Record<string, string>>;
  /** The error without the key, which a server may have repeated. */
  withoutKey(error: MillraceError): MillraceError;
}

/** Shorter keys are placeholders that occur in ordinary text. */
const SHORTEST_SECRET = 8;

export function credentialOf(key: string | undefined, as: Api['credential'] = 'bearer'): Credential {
  if (key === undefined) return { headers: {}, withoutKey: (error) => error };
  const basic = Buffer.from(key, 'utf8').toString('base64');
  const secrets = [key, basic, ...key.split(':').slice(1)].filter((each) => each.length >= SHORTEST_SECRET);
  return {
    headers: headersOf(key, basic, as),
    withoutKey(error) {
      if (!secrets.some((secret) => error.message.includes(secret))) return error;
      const message = secrets.reduce((text, secret) => text.replaceAll(secret, '***'), error.message);
      // The cause holds the answer, and so the key.
      return new MillraceError(error.code, message, error.details);
    },
  };
}

function headersOf(key: string, basic: string, as: NonNullable<Api['credential']>): Record<string, string> {
  if (as === 'bearer') return { authorization: `Bearer ${key}` };
  if (as === 'basic') return { authorization: `Basic ${basic}` };
  return { [as.header.toLowerCase()]: `${as.prefix}${key}` };
}
