import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../../pipelines/json.js';
import type { Reply } from '../connector.js';
import { bodyOf, type Exchange, type Transport } from '../exchange.js';
import { bytesOfBase64, generationOf, storedFiles } from '../generated.js';
import { describeFetch, shortened } from '../http-fault.js';
import type { DescribedCall } from './answered.js';
import { failureOf } from './faults.js';
import { settled } from './redirects.js';
import { requestBy } from './send.js';
import { hasUser } from './target.js';

/**
 * The files that a server has generated, as the pool's template of the output names them: `{ "files": [{ "base64" }, { "url" }] }`. An
 * address is of the endpoint's own origin, or of one that the pool names, which gets no credential. Throws
 * `INVALID_OUTPUT`, `BACKEND_REJECTED` for an address elsewhere, and `BACKEND_ERROR` for a file that cannot be fetched.
 */
export async function generatedFiles(made: Json | undefined, described: DescribedCall): Promise<Reply> {
  const files = isJsonObject(made) ? made.files : undefined;
  if (!Array.isArray(files)) throw wrong('the pool’s template of the output makes no list "files"');
  async function* all(): AsyncGenerator<Uint8Array, void> {
    for (const file of files as Json[]) {
      const { base64, url } = isJsonObject(file) ? file : {};
      if (typeof base64 === 'string') yield bytesOfBase64(base64);
      else if (typeof url === 'string') yield await fetched(url, described);
      else throw wrong('a file has neither base64 nor a url');
    }
  }
  return { output: await stored(all(), described) };
}

/** The one file that is the body of an answer. */
export async function generatedBody(response: Response, described: DescribedCall): Promise<Reply> {
  return { output: await stored([await bodyOf(response, described.context.signal)], described) };
}

const stored = (files: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, { api, call, context }: DescribedCall) =>
  storedFiles(files, generationOf(call, api.accepts), context);

async function fetched(address: string, described: DescribedCall): Promise<Uint8Array> {
  const { api, scope, sender, transport } = described;
  const url = addressOf(address, sender.base);
  if (sender.origins.has(url.origin)) {
    const { 'idempotency-key': _, ...fixed } = sender.fixed;
    const sent = await requestBy({ method: 'GET', url: { $value: url.href } }, scope, { ...sender, fixed });
    return await download(transport, sent, described, sender.origins);
  }
  if (!api.response.fileOrigins?.includes(url.origin)) {
    throw new MillraceError(
      'BACKEND_REJECTED',
      `the server’s file is at ${url.origin}, another origin, which "fileOrigins" does not name`,
    );
  }
  // Neither the pool's headers nor its connection: both are for the endpoint.
  const bare: Transport = (given, init) => fetch(given, init);
  return await download(bare, { url: url.href, method: 'GET' }, described);
}

/**
 * The bytes of a file. Whatever fails is `BACKEND_ERROR` of the call: the server has done its work, so the attempt counts
 * even if the file's origin was never reached.
 */
async function download(
  transport: Transport,
  sent: Exchange,
  { api, context }: DescribedCall,
  origins?: ReadonlySet<string>,
): Promise<Uint8Array> {
  const { signal } = context;
  try {
    const { response, failed } = await settled(transport, sent, signal, origins);
    if (failed) throw unfetched(sent, failureOf(api, failed));
    return await bodyOf(response, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    // That no token could be had for the file says nothing of the call.
    if (error instanceof MillraceError) throw error.details.unsent ? unfetched(sent, error) : error;
    throw unfetched(sent, new Error(shortened(describeFetch(error)), { cause: error }));
  }
}

function unfetched({ url }: Exchange, cause: Error): MillraceError {
  const wait = cause instanceof MillraceError ? cause.details.retryAfterMs : undefined;
  const { origin } = new URL(url);
  return new MillraceError(
    'BACKEND_ERROR',
    `the generated file cannot be fetched from ${origin}: ${cause.message}`,
    wait === undefined ? {} : { retryAfterMs: wait },
    { cause },
  );
}

function addressOf(address: string, base: string): URL {
  let url: URL;
  try {
    url = new URL(address, `${base}/`);
  } catch {
    throw wrong('the server gives no URL for its file');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw wrong(`the server’s file is at ${url.protocol}`);
  if (hasUser(url)) throw wrong('the server’s address of its file has a user in it');
  return url;
}

const wrong = (message: string): MillraceError => new MillraceError('INVALID_OUTPUT', message);
