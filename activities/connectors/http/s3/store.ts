import { type Answer, bodyOf, type Exchange, opened, type Transport } from '../../exchange.js';
import { type S3Address, type S3Place, s3Url } from './address.js';
import { isMissing, s3Error } from './errors.js';

/** Objects of S3 by single requests. Errors are `MillraceError`s, those of connections as they are thrown. */
export interface ObjectStore {
  put(at: S3Address, bytes: Uint8Array<ArrayBuffer>, type: string, signal: AbortSignal): Promise<void>;
  /** An object, its body still to be read; undefined while there is none. */
  get(at: S3Address, signal: AbortSignal): Promise<Response | undefined>;
  /** Nothing happens if there is none. */
  remove(at: S3Address, signal: AbortSignal): Promise<void>;
}

/** @param transport signs the requests */
export function objectStore(place: S3Place, transport: Transport): ObjectStore {
  /** An answer whose status is a success, or what failed. Redirects, to another region, are failures. */
  const send = async (
    at: S3Address,
    sent: Omit<Exchange, 'url'>,
    signal: AbortSignal,
  ): Promise<Response | { readonly failed: Answer }> => {
    const response = await opened(transport, { url: s3Url(at, place), ...sent }, signal);
    const { status, headers, ok } = response;
    return ok ? response : { failed: { status, headers, body: await bodyOf(response, signal) } };
  };
  return {
    async put(at, bytes, type, signal) {
      const answer = await send(at, { method: 'PUT', headers: { 'content-type': type }, body: bytes }, signal);
      if ('failed' in answer) throw s3Error(answer.failed, 'PUT', at);
      await bodyOf(answer, signal);
    },
    async get(at, signal) {
      const answer = await send(at, { method: 'GET' }, signal);
      if (!('failed' in answer)) return answer;
      if (isMissing(answer.failed)) return undefined;
      throw s3Error(answer.failed, 'GET', at);
    },
    async remove(at, signal) {
      const answer = await send(at, { method: 'DELETE' }, signal);
      if (!('failed' in answer)) return void (await bodyOf(answer, signal));
      if (!isMissing(answer.failed)) throw s3Error(answer.failed, 'DELETE', at);
    },
  };
}
