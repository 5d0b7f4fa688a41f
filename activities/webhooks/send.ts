import dns, { type LookupAddress } from 'node:dns';
import { type ClientRequestArgs, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { MillraceError } from '../../pipelines/errors.js';
import { isPublicAddress } from './public-address.js';
import { targetFault } from './target-url.js';

export interface Answer {
  readonly status: number;
  /** Value of `retry-after`, if present. */
  readonly retryAfter?: string;
}

/** The target is one that must not be called. */
export class RefusedTarget extends MillraceError {
  constructor(message: string) {
    super('WEBHOOK_REFUSED', message);
  }
}

/**
 * Posts a body to a URL and returns the answer's head; its body is not read, and a redirect is not followed. The name
 * is resolved once, for this connection, and all of its addresses must be public: the checked address is the one
 * connected to, which prevents DNS rebinding. Throws `RefusedTarget`.
 */
export async function send(
  target: string,
  {
    body,
    headers,
    allowPrivate,
    signal,
  }: {
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly allowPrivate: boolean;
    readonly signal: AbortSignal;
  },
): Promise<Answer> {
  const fault = targetFault(target, allowPrivate);
  if (fault !== undefined) throw new RefusedTarget(`the URL ${fault}`);
  const url = new URL(target);
  const options: ClientRequestArgs = {
    method: 'POST',
    // A new connection: a shared agent's may have been opened before the name was checked.
    agent: false,
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
    ...(!allowPrivate && { lookup: publicOnly }),
    signal,
  };
  const response = await new Promise<IncomingMessage>((answered, failed) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options);
    request.once('response', answered).once('error', failed).end(body);
  });
  response.once('error', () => undefined).destroy();
  const retryAfter = response.headers['retry-after'];
  return { status: response.statusCode ?? 0, ...(retryAfter !== undefined && { retryAfter }) };
}

/** `dns.lookup` for names whose addresses are all public. A literal address is never looked up: see `targetFault`. */
const publicOnly: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, '', 0);
    const [first] = addresses;
    const hidden = addresses.find(({ address }) => !isPublicAddress(address));
    if (hidden || !first)
      return callback(new RefusedTarget(`${hostname} resolves to an address that is not public`), '', 0);
    if (options.all) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};
