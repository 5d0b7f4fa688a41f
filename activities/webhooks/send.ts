import { type ClientRequestArgs, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { publicLookup, RefusedTarget } from './public-lookup.js';
import { targetFault } from './target-url.js';

export interface Answer {
  readonly status: number;
  /** Value of `retry-after`, if present. */
  readonly retryAfter?: string;
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
    nameServers,
  }: {
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly allowPrivate: boolean;
    readonly signal: AbortSignal;
    /** Default: the system's. */
    readonly nameServers?: readonly string[];
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
    ...(!allowPrivate && { lookup: publicLookup(nameServers) }),
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
