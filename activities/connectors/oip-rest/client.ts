import { createHash } from 'node:crypto';
import { MillraceError } from '../../../pipelines/errors.js';
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { withoutSlash } from '../../../runtime/without-slash.js';
import { type Answer, type Exchange, exchange, type Transport, textOf } from '../exchange.js';
import { HttpFault, shortened } from '../http-fault.js';
import { parseJson } from '../json-values.js';
import type { DescribedTensor, ModelTensors } from '../tensors/index.js';
import { type InferRequest, type Outputs, readResponse, requestJson } from './wire.js';

/** Of a failed answer, in bytes: servers say less of a failure, and longer JSON could fill the memory. */
const LONGEST_FAILURE = 1_024 * 1_024;

/** The REST API of one server. Errors are `HttpFault`, `MillraceError`, or what the transport throws. */
export class OipRestClient {
  readonly #base: string;
  readonly #transport: Transport;

  /** `base`: without the `/v2` that starts all paths. */
  constructor(base: string, transport: Transport) {
    this.#base = withoutSlash(base);
    this.#transport = transport;
  }

  /** Runs a model once. The outputs are not checked yet. */
  async infer(model: string, request: InferRequest, signal: AbortSignal, traceparent?: string): Promise<Outputs> {
    const path = `/v2/models/${encodeURIComponent(model)}/infer`;
    const headers = traceparent === undefined ? {} : { traceparent };
    return readResponse(
      textOf(await this.#call({ method: 'POST', path, headers, body: requestJson(request) }, signal)),
    );
  }

  /** The model's tensors by its metadata; empty if the server does not report them, as MLServer often does not. */
  async tensors(model: string, signal: AbortSignal): Promise<ModelTensors> {
    const { inputs, outputs } = await this.#metadata(model, signal);
    const described = (all: Json | undefined) => (Array.isArray(all) ? all.filter(isDescribed) : []);
    return { inputs: described(inputs), outputs: described(outputs) };
  }

  /** Returns if the model is ready; otherwise throws the server's answer. */
  async ready(model: string, signal: AbortSignal): Promise<void> {
    await this.#call({ method: 'GET', path: `/v2/models/${encodeURIComponent(model)}/ready` }, signal);
  }

  /**
   * Hash of the model's metadata: name, versions, platform, tensors. New weights under an old version do not change it.
   */
  async fingerprint(model: string, signal: AbortSignal): Promise<string> {
    const metadata = await this.#metadata(model, signal);
    const versions = Array.isArray(metadata.versions) ? [...metadata.versions].sort() : null;
    return createHash('sha256')
      .update(canonicalJson({ ...metadata, versions }))
      .digest('hex')
      .slice(0, 16);
  }

  /** Returns when the model is loaded or reloaded. An extension of the protocol. */
  async load(model: string, signal: AbortSignal): Promise<void> {
    await this.#control(model, 'load', signal);
  }

  /** Returns when unloading has begun. An extension of the protocol. */
  async unload(model: string, signal: AbortSignal): Promise<void> {
    await this.#control(model, 'unload', signal);
  }

  /** Every version of every model in the repository, loaded or not. An extension of the protocol. */
  async index(signal: AbortSignal): Promise<readonly { readonly name: string; readonly state?: string }[]> {
    const index = jsonOf(await this.#call({ method: 'POST', path: '/v2/repository/index', body: '{}' }, signal));
    return (Array.isArray(index) ? index.filter(isJsonObject) : []).flatMap(({ name, state }) =>
      typeof name === 'string' ? [{ name, ...(typeof state === 'string' && { state }) }] : [],
    );
  }

  /** The model's state in the server's repository: READY, UNLOADING, …; undefined if the server reports none. */
  async state(model: string, signal: AbortSignal): Promise<string | undefined> {
    const states = (await this.index(signal)).filter(({ name }) => name === model);
    // A version that was never loaded has no state.
    return states.find((version) => version.state && version.state !== 'UNAVAILABLE')?.state ?? states[0]?.state;
  }

  #control(model: string, what: 'load' | 'unload', signal: AbortSignal): Promise<Answer> {
    const path = `/v2/repository/models/${encodeURIComponent(model)}/${what}`;
    return this.#call({ method: 'POST', path, body: '{}' }, signal);
  }

  async #metadata(model: string, signal: AbortSignal): Promise<JsonObject> {
    const path = `/v2/models/${encodeURIComponent(model)}`;
    const metadata = jsonOf(await this.#call({ method: 'GET', path }, signal));
    if (isJsonObject(metadata)) return metadata;
    throw new MillraceError('INVALID_OUTPUT', 'the model’s metadata is not an object');
  }

  async #call({ path, ...request }: { path: string } & Omit<Exchange, 'url'>, signal: AbortSignal): Promise<Answer> {
    const headers = {
      ...request.headers,
      accept: 'application/json',
      ...(request.body !== undefined && { 'content-type': 'application/json' }),
    };
    const answer = await exchange(this.#transport, { url: this.#base + path, ...request, headers }, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw new HttpFault(answer, shortened(reasonOf(answer.body.toString('utf8', 0, LONGEST_FAILURE))));
  }
}

const jsonOf = (answer: Answer): Json =>
  parseJson(textOf(answer), (problem) => new MillraceError('INVALID_OUTPUT', `the answer’s ${problem}`));

/**
 * Message of an error body: `{"error": …}` of the protocol (Triton, MLServer, KServe), `{"detail": …}` of FastAPI below
 * them, or text; of a Python traceback the last line.
 */
function reasonOf(body: string): string {
  let reason: unknown = body;
  try {
    const parsed: unknown = JSON.parse(body);
    if (isJsonObject(parsed)) reason = parsed.error ?? parsed.detail ?? body;
  } catch {
    // Not JSON: the text itself.
  }
  const text = (typeof reason === 'string' ? reason : JSON.stringify(reason)).trim();
  return text.startsWith('Traceback ') ? (text.split('\n').at(-1) ?? text) : text;
}

const isDescribed = (value: unknown): value is Json & DescribedTensor =>
  isJsonObject(value as Json) &&
  typeof (value as DescribedTensor).name === 'string' &&
  typeof (value as DescribedTensor).datatype === 'string' &&
  Array.isArray((value as DescribedTensor).shape) &&
  (value as DescribedTensor).shape.every((size) => Number.isSafeInteger(size) && size >= -1);
