import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import type { Call, CallContext } from '../connector.js';
import { type Answer, bodyOf, type Exchange, type Transport, textOf } from '../exchange.js';
import { parseJson } from '../json-values.js';
import type { Api } from './api.js';
import { failureOf, failureWithin } from './faults.js';
import { isPage } from './page.js';
import { settled } from './redirects.js';
import type { ObjectStore } from './s3/index.js';
import type { Sender } from './send.js';
import type { Scope } from './template.js';

/** What one call needs. */
export interface DescribedCall {
  readonly api: Api;
  readonly call: Call;
  readonly scope: Scope;
  readonly sender: Sender;
  readonly transport: Transport;
  /** Of the objects that the description names. */
  readonly store?: ObjectStore | undefined;
  readonly context: CallContext;
}

/** An answer whose status is a success. Throws the error of any other. */
export async function success(
  { api, transport, sender }: Pick<DescribedCall, 'api' | 'transport' | 'sender'>,
  sent: Exchange,
  signal: AbortSignal,
): Promise<Response> {
  const { response, failed } = await settled(transport, sent, signal, sender.origins);
  if (failed) throw failureOf(api, failed);
  return response;
}

/** What templates see of an answer that is there as a whole. Throws the error that it has inside. */
export async function whole(api: Api, response: Response, signal: AbortSignal): Promise<Scope> {
  const { status, headers } = response;
  const answer = { status, headers, body: await bodyOf(response, signal) };
  const scope: Scope = { status, headers: Object.fromEntries(headers), ...bodyIn(answer, api.response.as) };
  const failure = failureWithin(api, scope, headers);
  if (failure) throw failure;
  return scope;
}

function bodyIn(answer: Answer, as: Api['response']['as'] = 'auto'): { readonly body: Json; readonly text: string } {
  const text = textOf(answer);
  if (as === 'text') return { body: text, text };
  if (text === '') return { body: null, text };
  const type = answer.headers.get('content-type') ?? '';
  const wrong = (problem: string) => new MillraceError('INVALID_OUTPUT', `the answer’s ${problem}`);
  // Some servers call JSON a text, and some, such as TorchServe, say nothing of either.
  const looksPlain = !/^\s*[[{"]/.test(text);
  if (as === 'auto' && isPage(type, text)) throw wrong('body is a page of HTML');
  if (as === 'auto' && looksPlain && type.startsWith('text/')) return { body: text, text };
  if (as === 'auto' && looksPlain && type === '') return { body: jsonOrText(text), text };
  return { body: parseJson(text, wrong), text };
}

function jsonOrText(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
