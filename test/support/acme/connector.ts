import {
  type Backend,
  baseUrl,
  type Call,
  type CallContext,
  type Connector,
  codeOfStatus,
  errorMapper,
  exchange,
  HttpFault,
  type JsonObject,
  MillraceError,
  mapped,
  type Reply,
  readBody,
  shortened,
} from '../../../activities/connectors/public/index.js';
import { keywords } from './keywords.js';

/** Servers of Acme's keyword API. An endpoint is a base URL. */
export const acme: Connector = {
  name: 'acme',
  kinds: new Set([keywords.definition.name]),
  capabilities: new Set(),
  takesKey: true,
  connect: (endpoint, key) => new AcmeBackend(endpoint, key),
};

/** The code decides what the stage's policy does: retry, wait, or fail. */
const mapError = errorMapper((fault) => (fault.status === 404 ? 'MODEL_NOT_FOUND' : codeOfStatus(fault)));

class AcmeBackend implements Backend {
  readonly endpoint: string;
  readonly #base: string;
  readonly #key: string | undefined;

  constructor(endpoint: string, key: string | undefined) {
    this.endpoint = endpoint;
    this.#base = baseUrl(endpoint, 'acme');
    this.#key = key;
  }

  invoke({ kind, model, with: options, input }: Call, { signal }: CallContext): Promise<Reply> {
    return this.#mapped(model, signal, async () => {
      if (!acme.kinds.has(kind)) throw new MillraceError('BACKEND_REJECTED', `acme does not serve "${kind}"`);
      return { output: await this.#call('POST', '/v1/keywords', signal, { model, ...options, ...input }) };
    });
  }

  /** The canary: the smallest real call. */
  probe(model: string, _kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, async () => {
      await this.#call('POST', '/v1/keywords', signal, { model, most: 1, text: 'ok' });
    });
  }

  /** Changes with the weights: part of the keys of cached answers. */
  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, async () => {
      const { version } = await this.#call('GET', `/v1/models/${encodeURIComponent(model)}`, signal);
      return `${model}-${String(version)}`;
    });
  }

  /** Nothing to close: connections belong to Node's fetch and end when idle. */
  close(): void {}

  async #call(method: string, path: string, signal: AbortSignal, body?: JsonObject): Promise<JsonObject> {
    const headers = {
      ...(body && { 'content-type': 'application/json' }),
      ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
    };
    const sent = { url: this.#base + path, method, headers, ...(body && { body: JSON.stringify(body) }) };
    const answer = await exchange(fetch, sent, signal);
    if (answer.status !== 200) throw new HttpFault(answer, shortened(answer.body.toString()));
    return readBody(answer) as JsonObject;
  }

  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return mapped(mapError, { endpoint: this.endpoint, model, signal }, work);
  }
}
