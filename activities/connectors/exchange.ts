import { MillraceError } from '../../pipelines/errors.js';

/** Sends requests: Node's `fetch` or a replacement. */
export type Transport = (url: string, init: RequestInit) => Promise<Response>;

export interface Exchange {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A complete answer of any status. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

const MEBIBYTE = 1024 * 1024;
/** The same limit as the gRPC connector's: an oversized answer must not exhaust memory. */
export const LONGEST_BODY = 64 * MEBIBYTE;

/**
 * One request and its complete answer; redirects are returned, not followed. Throws transport errors as they are, the
 * signal's reason, or `BACKEND_REJECTED` for a body above 64 MiB, because a repeated call would return it again.
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
  // Cancelling also closes the connection of a transport that ignores the signal while the body arrives.
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

/** For a body above `LONGEST_BODY`. */
export const tooLong = (): MillraceError =>
  new MillraceError('BACKEND_REJECTED', `the answer is longer than ${LONGEST_BODY / MEBIBYTE} MiB`);

/** The body as text. Throws `INVALID_OUTPUT` if the bytes do not fit its charset. */
export function textOf({ headers, body }: Answer): string {
  const charset = /;\s*charset="?([^\s;"]+)/i.exec(headers.get('content-type') ?? '')?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body);
  } catch {
    throw new MillraceError('INVALID_OUTPUT', `the answer is not text in ${charset}`);
  }
}
