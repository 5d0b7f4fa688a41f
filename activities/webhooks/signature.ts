import { createHmac } from 'node:crypto';

/** Prefix of secrets in the Standard Webhooks scheme; the key follows in base64. */
const PREFIX = 'whsec_';
/** Bytes of a key, by the specification. */
const KEY_BYTES = { least: 24, most: 64 };

/** Why a text is not a secret; undefined if it is. The text is not repeated. */
export function secretFault(secret: string): string | undefined {
  const key = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const bytes = Buffer.from(key, 'base64');
  const { least, most } = KEY_BYTES;
  const fits = /^[A-Za-z0-9+/]+={0,2}$/.test(key) && bytes.length >= least && bytes.length <= most;
  return fits ? undefined : `must be ${PREFIX} and ${least} to ${most} random bytes in base64`;
}

/**
 * The headers of an attempt (Standard Webhooks 1.0, symmetric signatures `v1`): HMAC-SHA256 of
 * `<id>.<timestamp>.<body>` with every secret, so that during a rotation receivers with the old or the new one can
 * verify it.
 */
export function signedHeaders(
  secrets: readonly string[],
  { id, body, now }: { readonly id: string; readonly body: string; readonly now: Date },
): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
