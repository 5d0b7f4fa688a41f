import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import type { Answer } from '../../exchange.js';
import { codeOfStatus, HttpFault, shortened } from '../../http-fault.js';
import { type S3Address, s3Uri } from './address.js';

/**
 * Codes of S3 whose status alone says something else: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
 * Keys that are wrong, have expired, or are not signed for the bucket's region come with the status 400 too.
 */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ExpiredToken: 'BACKEND_UNAUTHORIZED',
  InvalidToken: 'BACKEND_UNAUTHORIZED',
  TokenRefreshRequired: 'BACKEND_UNAUTHORIZED',
  AuthorizationHeaderMalformed: 'BACKEND_UNAUTHORIZED',
  SlowDown: 'BACKEND_RATE_LIMITED',
  RequestTimeout: 'BACKEND_TIMEOUT',
  OperationAborted: 'BACKEND_ERROR',
};

/** The wait after throttling, where S3 names none. */
const SLOW_DOWN_MS = 1_000;

/** S3 tells only those who may list a bucket that it does not have an object. */
const HIDDEN = ' (without the permission s3:ListBucket, S3 also says this of an object that is not there yet)';

/** An answer of S3 that there is no such object. That there is no such bucket is another. */
export const isMissing = ({ status, body }: Answer): boolean => {
  const code = partOf(body.toString('utf8'), 'Code');
  return status === 404 && (code === 'NoSuchKey' || code === '');
};

/** The error of a failed answer of S3. */
export function s3Error(answer: Answer, method: string, at: S3Address): MillraceError {
  const text = answer.body.toString('utf8');
  const name = partOf(text, 'Code');
  const said = [name, partOf(text, 'Message')].filter((part) => part !== '').join(': ');
  const fault = new HttpFault(answer, shortened(said));
  const code = (Object.hasOwn(CODES, name) ? CODES[name] : undefined) ?? codeOfStatus(fault);
  const wait = fault.retryAfterMs ?? (name === 'SlowDown' ? SLOW_DOWN_MS : undefined);
  const hint = method === 'GET' && name === 'AccessDenied' ? HIDDEN : '';
  return new MillraceError(code, `${method} ${s3Uri(at)}: ${fault.message}${hint}`, {
    ...(wait !== undefined && { retryAfterMs: wait }),
    // No model has received a call whose input could not be written.
    ...(code === 'BACKEND_UNAVAILABLE' && method === 'PUT' && { unsent: true as const }),
  });
}

/** An element of an answer, which is XML without nesting. An error has them in its first few hundred characters. */
const partOf = (text: string, name: string): string =>
  new RegExp(`<${name}>([^<]{0,2000})</${name}>`).exec(text.slice(0, 16_384))?.[1]?.replace(/\s+/g, ' ').trim() ?? '';
