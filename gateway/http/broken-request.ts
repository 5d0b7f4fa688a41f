import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { MillraceError } from '../../pipelines/errors.js';
import type { RationedWarnings } from '../../telemetry/warnings.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';

/** Errors of Node's HTTP parser, by code. */
const OF_NODE: Readonly<Record<string, () => MillraceError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: () => new MillraceError('REQUEST_TIMEOUT', 'the request did not arrive in time'),
  HPE_HEADER_OVERFLOW: () => headersTooLarge('the headers are above 16 KiB'),
};

/**
 * Responds to a request that the HTTP parser could not read or that did not arrive in time; there is no request object.
 */
export function answerBrokenRequest(
  error: Error & { readonly code?: string },
  socket: Socket,
  warnings: RationedWarnings,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known = OF_NODE[error.code ?? '']?.();
  const cause = known ?? new MillraceError('INVALID_HEADER', 'the request is not valid HTTP/1.1');
  warnings.warn(cause.code, { code: cause.code, from: socket.remoteAddress }, 'a request could not be read');
  const problem = problemOf(cause, { url: '', id: randomUUID() });
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: ${PROBLEM_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

export const headersTooLarge = (message: string): MillraceError =>
  new MillraceError('HEADERS_TOO_LARGE', message, { fields: [{ field: 'headers', message }] });
