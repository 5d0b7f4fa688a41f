import type { JSONWebKeySet } from 'jose';
import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { fetchCause } from '../../../runtime/fetch-cause.js';
import { limited } from '../../../runtime/limited.js';
import { isConfidential } from '../../../runtime/loopback.js';
import { configurationUrlOf, isOfTenants } from './issuer.js';

/** Time for both documents of a provider: requests with an unknown key wait for them. */
const READ_MS = 5_000;
/** Largest document. The keys of large providers, with certificates, have some 20 KiB. */
const MOST_BYTES = 262_144;

const configuration = z.object({ issuer: z.string(), jwks_uri: z.string() });
const keySet = z.object({ keys: z.array(z.record(z.string(), z.unknown())).min(1) });

/**
 * The keys with which a provider signs its tokens, by its discovery document. Throws `ISSUER_UNAVAILABLE`; the message
 * has addresses and is for operators.
 */
export async function readProviderKeys(issuer: string, signal: AbortSignal): Promise<JSONWebKeySet> {
  try {
    return await limited(READ_MS, signal, async (within) => {
      const { issuer: named, jwks_uri: address } = await documentAt(configurationUrlOf(issuer), configuration, within);
      if (named !== issuer)
        throw unreadable(`it calls itself "${named.slice(0, 200)}": MILLRACE_OIDC_ISSUER must be exactly that`);
      if (!isConfidential(address)) throw unreadable('its jwks_uri is neither https nor on this machine');
      const { keys } = await documentAt(address, keySet, within);
      // Keys of all tenants and of single ones stand side by side; each says whose it is.
      const own = keys.filter(({ issuer: of = issuer }) => !isOfTenants(issuer) || of === issuer);
      return { keys: own } as unknown as JSONWebKeySet;
    });
  } catch (error) {
    throw error instanceof MillraceError ? error : unreadable(fetchCause(error));
  }
}

/** Redirects are not followed: the address comes from the operator or, over TLS, from the provider. */
async function documentAt<T>(address: string, shape: z.ZodType<T>, signal: AbortSignal): Promise<T> {
  const headers = { accept: 'application/json', 'user-agent': 'millrace' };
  const response = await fetch(address, { redirect: 'manual', headers, signal });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw unreadable(`${address} answered ${response.status}`);
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > MOST_BYTES) throw unreadable(`${address} is larger than ${MOST_BYTES} bytes`);
    pieces.push(piece);
  }
  const parsed = shape.safeParse(jsonOf(Buffer.concat(pieces).toString()));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unreadable(`${address}: ${issue?.path.join('.') || 'it'}: ${issue?.message}`);
}

/** Undefined if it is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const unreadable = (why: string) => new MillraceError('ISSUER_UNAVAILABLE', why);
