import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../../pipelines/json.js';
import type { Reply } from '../connector.js';
import { bodyOf, type Transport } from '../exchange.js';
import { bytesOfBase64, generationOf, storedFiles } from '../generated.js';
import { type DescribedCall, success } from './answered.js';
import { requestBy } from './send.js';

/**
 * The files that a server has generated, as the pool's template of the output names them: `{ "files": [{ "base64" }, { "url" }] }`. An
 * address is of the endpoint's own origin, or of one that the pool names, which gets no credential. Throws
 * `INVALID_OUTPUT`, and `BACKEND_REJECTED` for an address elsewhere.
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

async function fetched(
  address: string,
  { api, scope, sender, transport, context }: DescribedCall,
): Promise<Uint8Array> {
  const { signal } = context;
  const base = new URL(sender.base);
  const url = addressOf(address, base);
  if (url.origin === base.origin) {
    const { 'idempotency-key': _, ...fixed } = sender.fixed;
    const sent = await requestBy({ method: 'GET', url: { $value: url.href } }, scope, { ...sender, fixed });
    return await bodyOf(await success(api, transport, sent, signal), signal);
  }
  if (!api.response.fileOrigins?.includes(url.origin)) {
    throw new MillraceError(
      'BACKEND_REJECTED',
      `the server’s file is at ${url.origin}, another origin, which "fileOrigins" does not name`,
    );
  }
  // Neither the pool's headers nor its connection: both are for the endpoint.
  const bare: Transport = (given, init) => fetch(given, init);
  return await bodyOf(await success(api, bare, { url: url.href, method: 'GET' }, signal), signal);
}

function addressOf(address: string, base: URL): URL {
  let url: URL;
  try {
    url = new URL(address, `${base.href.replace(/\/+$/, '')}/`);
  } catch {
    throw wrong('the server gives no URL for its file');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw wrong(`the server’s file is at ${url.protocol}`);
  return url;
}

const wrong = (message: string): MillraceError => new MillraceError('INVALID_OUTPUT', message);
