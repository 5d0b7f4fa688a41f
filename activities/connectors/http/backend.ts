import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { baseUrl } from '../base-url.js';
import type { Backend, Call, CallContext, Reply } from '../connector.js';
import { exchange, type Transport } from '../exchange.js';
import { HttpFault } from '../http-fault.js';
import { mapped } from '../mapped.js';
import type { LinkedTransport } from '../transport.js';
import { readBody } from './answer.js';
import { mapError } from './errors.js';
import { request } from './request.js';
import { type Scalars, targetUrl } from './target.js';

type Context = Pick<CallContext, 'signal' | 'idempotencyKey' | 'traceparent'>;

/** One API by its base URL. */
export class HttpBackend implements Backend {
  readonly endpoint: string;
  readonly close: () => void;
  readonly #base: string;
  readonly #transport: Transport;

  constructor(endpoint: string, { fetch: transport, close }: LinkedTransport) {
    this.close = close;
    this.endpoint = endpoint;
    this.#base = baseUrl(endpoint, 'http');
    this.#transport = transport;
  }

  invoke(call: Call, { signal, idempotencyKey, traceparent }: Context): Promise<Reply> {
    return this.#mapped(call.model, signal, async () => {
      if (call.kind !== 'http') {
        throw new MillraceError(
          'BACKEND_REJECTED',
          `http does not serve the stage kind "${call.kind}" (it serves: http)`,
        );
      }
      const { method, path } = call.with as { method: string; path: string };
      const { path: values, query, body } = call.input as { path?: Scalars; query?: Scalars; body?: JsonObject };
      if (method === 'GET' && body !== undefined) {
        const message = 'a GET has no body';
        throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'body', message }] });
      }
      const headers = {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(traceparent !== undefined && { traceparent }),
      };
      const url = targetUrl(this.#base, path, values, query);
      const sent = { url, method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
      const answer = await request(this.#transport, sent, signal);
      return { output: { status: answer.status, body: readBody(answer) } };
    });
  }

  /**
   * `HEAD` of the base URL. The API's paths are unknown, so any answer counts, including an error, except a proxy's
   * report that it has no upstream.
   */
  probe(model: string, _kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, () => this.#answers(signal));
  }

  /** The service's name, if the service answers: an API does not report what it computes or when that changes. */
  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, async () => {
      await this.#answers(signal);
      return model;
    });
  }

  async #answers(signal: AbortSignal): Promise<void> {
    const answer = await exchange(this.#transport, { url: `${this.#base}/`, method: 'HEAD' }, signal);
    if ([502, 503, 504].includes(answer.status)) throw new HttpFault(answer, '');
  }

  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return mapped(mapError, { endpoint: this.endpoint, model, signal }, work);
  }
}
