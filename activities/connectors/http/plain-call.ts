import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { Call, CallContext, Reply } from '../connector.js';
import { bodyOf, type Transport } from '../exchange.js';
import { readBody } from './answer.js';
import type { Api } from './api.js';
import { answerScope, failureOf, failureWithin } from './faults.js';
import { settled } from './redirects.js';
import { scopeOf } from './scope.js';
import { headersBy } from './send.js';
import { type Query, type Scalars, targetUrl } from './target.js';

interface About {
  readonly base: string;
  readonly origins: ReadonlySet<string>;
  readonly api: Api;
  readonly credential: Readonly<Record<string, string>>;
  readonly transport: Transport;
}

/** A call of an `http` stage, which describes its request itself. */
export async function plainCall(
  call: Call,
  context: CallContext,
  { base, origins, api, credential, transport }: About,
): Promise<Reply> {
  const { with: options, input } = call;
  const { signal, idempotencyKey, traceparent } = context;
  const { method, path, commas } = options as { method: string; path: string; commas?: readonly string[] };
  const { path: values, query, body } = input as { path?: Scalars; query?: Query; body?: JsonObject };
  if (method === 'GET' && body !== undefined) {
    const message = 'a GET has no body';
    throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'body', message }] });
  }
  const headers = {
    accept: 'application/json',
    ...(api.headers && headersBy(api.headers, scopeOf(call, api, context))),
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    ...(traceparent !== undefined && { traceparent }),
    ...credential,
  };
  const url = targetUrl(base, path, values, query, commas);
  const sent = { url, method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const { response, failed } = await settled(transport, sent, signal, origins);
  if (failed) throw failureOf(api, failed);
  const answer = { status: response.status, headers: response.headers, body: await bodyOf(response, signal) };
  const failure =
    api.errors.length > 0 && failureWithin(api, answerScope(answer, answer.body.toString('utf8')), answer.headers);
  if (failure) throw failure;
  return { output: { status: answer.status, body: readBody(answer) } };
}
