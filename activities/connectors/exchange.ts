import { MillraceError } from '../../pipelines/errors.js';

/** How requests are sent: Node's `fetch`, or what stands in for it. */
export type Transport = (url: string, init: RequestInit) => Promise<Response>;

export interface Exchange {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer that has arrived whole, of any status. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

const MEBIBYTE = 1024 * 1024;
/** The limit that the gRPC connector has: a wild answer cannot fill the memory. */
export const LONGEST_BODY = 64 * MEBIBYTE;

/**
 * One request and its whole answer; a redirect is an answer like another. Throws what the transport throws, the signal's
 * reason, or `BACKEND_REJECTED` for a body above 64 MiB: the same call would have it again.
 */
export async function exchange(
  transport: Transport,
  { url, ...request }: Exchange,
  signal: AbortSignal,
): Promise<Answer> {
  const response = await transport(url, { ...request, signal, redirect: 'manual' });
  const { status, headers } = response;
  return { status, headers, body: await bodyOf(response, signal) };
}

async function bodyOf({ body, headers }: Response, signal: AbortSignal): Promise<Buffer> {
  if (body === null) return Buffer.alloc(0);
  const reader = body.getReader();
  // Cancelling closes the connection, of a transport that does not watch the signal while the body comes, too.
  const stop = () => void reader.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (Number(headers.get('content-length')) > LONGEST_BODY) throw tooLong();
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return Buffer.concat(chunks, length);
      length += value.byteLength;
      if (length > LONGEST_BODY) throw tooLong();
      chunks.push(value);
    }
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Of a body above `LONGEST_BODY`. */
export const tooLong = (): MillraceError =>
  new MillraceError('BACKEND_REJECTED', `the answer is longer than ${LONGEST_BODY / MEBIBYTE} MiB`);

/** The body as text. Throws `INVALID_OUTPUT` if it is not of its charset. */
export function textOf({ headers, body }: Answer): string {
  const charset = /;\s*charset="?([^\s;"]+)/i.exec(headers.get('content-type') ?? '')?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body);
  } catch {
    throw new MillraceError('INVALID_OUTPUT', `the answer is not text in ${charset}`);
  }
}
