import { createPrivateKey, createSign, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { MillraceError } from '../../../../pipelines/errors.js';
import { bodyOf, opened } from '../../exchange.js';
import { shortened } from '../../http-fault.js';
import type { Authorizer } from './authorizer.js';
import { keyOf, wrongKey } from './key-json.js';

const account = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  token_uri: z.string().default('https://oauth2.googleapis.com/token'),
});
type Account = z.output<typeof account>;

interface Token {
  readonly text: string;
  /** On the clock of `performance.now()`, in milliseconds. */
  readonly since: number;
  readonly until: number;
}

/** A token is replaced so long before its end, in milliseconds, or at half its life. */
const AHEAD = 5 * 60_000;
/** A token that is younger is not replaced when it is refused: another would be refused too. */
const YOUNG = 60_000;
const LONGEST_FETCH = 30_000;
/** After an exchange that failed, none is begun for so long while the old token is good, in milliseconds. */
const PAUSE = 10_000;

/**
 * Access tokens of a Google service account: a JWT signed with its key is exchanged for a token, which is replaced before
 * it expires, and once when it is refused. https://developers.google.com/identity/protocols/oauth2/service-account
 */
export function googleAuthorizer(
  key: string,
  scope: string,
  clock: () => number = () => performance.now(),
): Authorizer {
  const own = keyOf(key, account, 'the JSON key of a Google service account, as { "file": … } names it');
  const signing = privateKeyOf(own.private_key);
  const tokens = tokensOf(own);
  let held: Token | undefined;
  let next: Promise<Token> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  /** One exchange at a time, which no caller's end stops. */
  function renewed(): Promise<Token> {
    next ??= exchanged(tokens, assertion(own, signing, scope), clock)
      .then(
        (token) => {
          held = token;
          return token;
        },
        (error: unknown) => {
          failedAt = clock();
          throw error;
        },
      )
      .finally(() => {
        next = undefined;
      });
    return next;
  }

  async function token(signal: AbortSignal): Promise<Token> {
    const now = clock();
    if (held && now < held.until - Math.min(AHEAD, (held.until - held.since) / 2)) return held;
    if (!held || now >= held.until) return until(renewed(), signal);
    // While the old token is valid, a token server that is down or does not answer has no effect on calls.
    if (now - failedAt >= PAUSE) renewed().catch(() => undefined);
    return held;
  }

  return {
    headers: async (_, signal) => ({ authorization: `Bearer ${(await token(signal)).text}` }),
    again({ status }, sent) {
      if (status !== 401) return false;
      if (!held || sent.authorization !== `Bearer ${held.text}`) return true;
      if (clock() - held.since < YOUNG) return false;
      held = undefined;
      return true;
    },
    secrets: () => [own.private_key, ...(held ? [held.text] : [])],
  };
}

function privateKeyOf(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // The error's text may have parts of the key.
  }
  throw wrongKey('private_key is no RSA key in PEM');
}

/** Tokens go over TLS, or stay on this machine. */
function tokensOf({ token_uri }: Account): URL {
  const url = URL.canParse(token_uri) ? new URL(token_uri) : undefined;
  const local = url?.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url && (url.protocol === 'https:' || local)) return url;
  throw wrongKey('token_uri is no https URL');
}

/** RFC 7523: the account's own statement, good for an hour. */
function assertion({ client_email, private_key_id, token_uri }: Account, key: KeyObject, scope: string): string {
  const iat = Math.floor(Date.now() / 1_000);
  const parts = [
    { alg: 'RS256', typ: 'JWT', ...(private_key_id !== undefined && { kid: private_key_id }) },
    { iss: client_email, scope, aud: token_uri, iat, exp: iat + 3_600 },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signature = createSign('RSA-SHA256').update(parts.join('.')).sign(key).toString('base64url');
  return [...parts, signature].join('.');
}

const answer = z.object({ access_token: z.string().min(1), expires_in: z.number().positive().default(3_600) });

async function exchanged(url: URL, assertion: string, clock: () => number): Promise<Token> {
  const since = clock();
  const signal = AbortSignal.timeout(LONGEST_FETCH);
  const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
  let status: number;
  let text: string;
  try {
    const response = await opened(fetch, { url: url.href, method: 'POST', headers, body: body.toString() }, signal);
    status = response.status;
    text = (await bodyOf(response, signal)).toString('utf8');
  } catch {
    throw unavailable(`cannot be reached within ${LONGEST_FETCH / 1_000} s`);
  }
  if (status === 429 || status >= 500) throw unavailable(`answers ${status}`);
  const read = status === 200 ? answer.safeParse(jsonOf(text)) : undefined;
  if (read?.success !== true) {
    const said = status === 200 ? 'without a token' : shortened(text);
    throw new MillraceError('BACKEND_UNAUTHORIZED', `the token server ${url.host} answers ${status}: ${said}`);
  }
  return { text: read.data.access_token, since, until: since + read.data.expires_in * 1_000 };

  /** No model has received the call. */
  function unavailable(problem: string): MillraceError {
    return new MillraceError('BACKEND_UNAVAILABLE', `the token server ${url.host} ${problem}`, { unsent: true });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The promise's end, or the signal's. */
function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
