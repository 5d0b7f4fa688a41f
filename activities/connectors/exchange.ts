import { MillraceError } from '../../pipelines/errors.js';

/** Sends requests: Node's `fetch` or a replacement. */
export type Transport = (url: string, init: RequestInit) => Promise<Response>;

export interface Exchange {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData;
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
export async function exchange(transport: Transport, sent: Exchange, signal: AbortSignal): Promise<Answer> {
  const response = await opened(transport, sent, signal);
  const { status, headers } = response;
  return { status, headers, body: await bodyOf(response, signal) };
}

/** The status and headers of an answer whose body is read as it arrives, by `chunksOf`. */
export async function opened(
  transport: Transport,
  { url, ...request }: Exchange,
  signal: AbortSignal,
): Promise<Response> {
  return transport(url, { ...request, signal, redirect: 'manual' });
}

/** The whole body of an answer. */
export async function bodyOf(response: Response, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(response, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * An answer's body as it arrives. Throws as `exchange` does, and then closes the connection at once, as an abort does. A
 * reader that leaves early, by a `break` or by an error of its own, closes it too, after `tailMs`.
 * @param tailMs how long what is left is awaited, unused, once the reader has left, since a connection serves another call
 *   only if its answer has been read to the end. Nobody waits for this
 */
export async function* chunksOf(
  { body, headers }: Response,
  signal: AbortSignal,
  tailMs = 0,
): AsyncGenerator<Uint8Array, void> {
  if (body === null) return;
  const reader = body.getReader();
  // Cancelling also closes the connection of a transport that ignores the signal while the body arrives.
  const stop = () => void reader.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  let ended = false;
  let left = false;
  try {
    if (Number(headers.get('content-length')) > LONGEST_BODY) throw tooLong();
    let length = 0;
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      ended = done;
      if (done) return;
      length += value.byteLength;
      if (length > LONGEST_BODY) throw tooLong();
      left = true;
      yield value;
      left = false;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    if (left && tailMs > 0 && !signal.aborted) void readTail(reader, tailMs);
    else if (!ended) stop();
  }
}

/** More than this is not the end of an answer. */
const LONGEST_TAIL = 64 * 1_024;

async function readTail(reader: ReadableStreamDefaultReader<Uint8Array>, tailMs: number): Promise<void> {
  const stop = () => void reader.cancel().catch(() => undefined);
  const timer = setTimeout(stop, tailMs).unref();
  try {
    for (let length = 0; length <= LONGEST_TAIL; ) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.byteLength;
    }
    stop();
  } catch {
    // The connection is lost, and is not used any more.
  } finally {
    clearTimeout(timer);
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
