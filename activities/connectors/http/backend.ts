import { createHash } from 'node:crypto';
import { MillraceError } from '../../../pipelines/errors.js';
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { baseUrl } from '../base-url.js';
import type { Backend, Call, CallContext, Reply } from '../connector.js';
import { textsIn } from '../embedded-items.js';
import { bodyOf, exchange, type Transport } from '../exchange.js';
import { HttpFault } from '../http-fault.js';
import { valueAt } from '../json-values.js';
import { mapped } from '../mapped.js';
import { oneByOne, pairsIn } from '../pairs.js';
import type { LinkedTransport } from '../transport.js';
import { type DescribedCall, success, whole } from './answered.js';
import type { Api, RequestTemplate } from './api.js';
import { canaryOf } from './canary.js';
import { holds } from './condition.js';
import type { Credential } from './credentials/credential.js';
import { invoke } from './described-call.js';
import { mapError } from './errors.js';
import { answerScope } from './faults.js';
import { loadFile } from './files.js';
import { takesPairs, takesTextPair } from './joined.js';
import { keptJob } from './kept-job.js';
import { plainCall } from './plain-call.js';
import type { ObjectStore } from './s3/index.js';
import { scopeOf } from './scope.js';
import { requestBy, type Sender } from './send.js';
import type { Scope } from './template.js';

/** A pool of the kind `http` without options. */
const PLAIN: Api = { kind: 'http', values: {}, errors: [], response: {} };

/** One API by its base URL. */
export class HttpBackend implements Backend {
  readonly endpoint: string;
  readonly close: () => void;
  /** Absent where the description has no health path. */
  ready?: (model: string, signal: AbortSignal) => Promise<boolean>;
  readonly #base: string;
  readonly #origins: ReadonlySet<string>;
  readonly #api: Api;
  readonly #credential: Credential;
  readonly #transport: Transport;
  readonly #store: ObjectStore | undefined;

  /**
   * @param store of the objects that the description names
   * @param base what paths are appended to, where the endpoint is no URL
   * @param named the endpoint's origin under its server's name
   */
  constructor(
    endpoint: string,
    credential: Credential,
    api: Api = PLAIN,
    { fetch: transport, close }: LinkedTransport,
    {
      store,
      base = baseUrl(endpoint, 'http'),
      named,
    }: {
      readonly store?: ObjectStore | undefined;
      readonly base?: string;
      readonly named?: string | undefined;
    } = {},
  ) {
    this.close = close;
    this.endpoint = endpoint;
    this.#base = base;
    this.#origins = new Set([new URL(base).origin, ...(named === undefined ? [] : [named])]);
    this.#api = api;
    this.#credential = credential;
    this.#transport = transport;
    this.#store = store;
    const { health } = api;
    if (health) {
      this.ready = (model, signal) => this.#mapped(model, signal, () => this.#healthy(model, health, signal));
    }
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    return this.#mapped(call.model, context.signal, async () => {
      if (call.kind !== this.#api.kind) {
        throw new MillraceError(
          'BACKEND_REJECTED',
          `http does not serve the stage kind "${call.kind}" here (its pool serves: ${this.#api.kind})`,
        );
      }
      return this.#api.request ? this.#described(call, context) : this.#plain(call, context);
    });
  }

  /** A job of an earlier attempt is at one server. While that cannot be reached, another one begins a job of its own. */
  holds(checkpoint: Json): 'preferred' | false {
    return keptJob(checkpoint)?.endpoint === this.#base && 'preferred';
  }

  /**
   * The description's canary, or the smallest call of the kind; without one the health path, and without that `HEAD` of
   * the base URL: the API's paths are unknown, so any answer counts, including an error, except a proxy's report that it
   * has no upstream.
   */
  probe(model: string, kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, async () => {
      const canary = this.#api.request && canaryOf(kind, this.#api);
      if (canary) return this.#canary({ kind, model, ...canary }, signal);
      const { health } = this.#api;
      if (health) return void (await this.#healthy(model, health, signal));
      await this.#answers(signal);
    });
  }

  /**
   * A hash of what the server says of the model's weights, where the description knows where that is; else the service's
   * name, if the service answers.
   */
  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, async () => {
      const { identity } = this.#api;
      if (!identity) {
        await this.#answers(signal);
        return model;
      }
      const scope = await this.#asked(model, identity.path, signal);
      const found = identity.at.map((pointer) => valueAt(scope as JsonObject, pointer) ?? null);
      return createHash('sha256')
        .update(canonicalJson([model, ...found] as Json))
        .digest('hex')
        .slice(0, 16);
    });
  }

  async #described(call: Call, context: CallContext): Promise<Reply> {
    const pairs = pairsIn(call);
    if (pairs && !takesPairs(this.#api)) return oneByOne(call, pairs, (each) => this.#described(each, context));
    if (call.input.textPair !== undefined && !takesTextPair(this.#api)) throw ignored();
    const { batch = 64 } = this.#api;
    const texts = call.kind === 'embed' ? textsIn(call.input) : undefined;
    if (!texts) return invoke(this.#callOf(call, context));
    const embeddings: Json[] = [];
    let inputTokens: number | undefined;
    for (let at = 0; at < texts.length; at += batch) {
      const some = texts.slice(at, at + batch) as Json[];
      const input = { texts: some, ...(some.length === 1 && { text: some[0] }) } as JsonObject;
      const { output, usage } = await invoke(this.#callOf({ ...call, input }, ofBatch(context, at)));
      if (usage?.inputTokens !== undefined) inputTokens = (inputTokens ?? 0) + usage.inputTokens;
      embeddings.push(...(output.embeddings as readonly Json[]));
    }
    return { output: { embeddings }, ...(inputTokens !== undefined && { usage: { inputTokens } }) };
  }

  #callOf(call: Call, context: CallContext): DescribedCall {
    const scope = scopeOf(call, this.#api, context);
    const sender = this.#sender(context);
    return { api: this.#api, call, scope, sender, transport: this.#transport, store: this.#store, context };
  }

  #sender(context: Pick<CallContext, 'signal'> & Partial<CallContext>): Sender {
    const { idempotencyKey, traceparent, audio, bytes, signal } = context;
    return {
      base: this.#base,
      origins: this.#origins,
      headers: this.#api.headers ?? {},
      fixed: {
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(traceparent !== undefined && { traceparent }),
        ...this.#credential.headers,
      },
      load(source, scope) {
        if (!audio) throw new MillraceError('INTERNAL', 'a canary has no files');
        return loadFile(source, scope, { audio, signal, ...(bytes && { bytes }) });
      },
    };
  }

  #plain(call: Call, context: CallContext): Promise<Reply> {
    return plainCall(call, context, {
      base: this.#base,
      origins: this.#origins,
      api: this.#api,
      credential: this.#credential.headers,
      transport: this.#transport,
    });
  }

  /** What the server makes of the smallest call: its answer is read, but not as a stage's output. */
  async #canary(call: Call, signal: AbortSignal): Promise<void> {
    const { request } = this.#api;
    if (!request) return;
    const scope = scopeOf(call, this.#api, { signal } as CallContext);
    const response = await this.#answered(request, scope, signal);
    if (this.#api.response.stream || this.#api.response.as === 'bytes') await response.body?.cancel();
    else await whole(this.#api, response, signal);
  }

  async #healthy(model: string, { path, ready }: NonNullable<Api['health']>, signal: AbortSignal): Promise<boolean> {
    const scope = await this.#asked(model, path, signal);
    if (!ready || holds(ready, scope)) return true;
    const state = String(scope.text ?? '').slice(0, 200);
    throw new MillraceError('BACKEND_UNAVAILABLE', `the server is not ready: ${state}`, { unsent: true });
  }

  async #asked(model: string, path: string, signal: AbortSignal): Promise<Scope> {
    const scope: Scope = {
      model,
      kind: this.#api.kind,
      input: {},
      with: {},
      given: {},
      values: { ...this.#api.values },
      call: {},
    };
    const response = await this.#answered({ method: 'GET', path }, scope, signal);
    // LitServe calls "ok" JSON: such answers are texts where they are none.
    return answerScope(response, (await bodyOf(response, signal)).toString('utf8'));
  }

  async #answered(template: RequestTemplate, scope: Scope, signal: AbortSignal): Promise<Response> {
    const sender = this.#sender({ signal });
    const sent = await requestBy(template, scope, sender);
    return success({ api: this.#api, transport: this.#transport, sender }, sent, signal);
  }

  async #answers(signal: AbortSignal): Promise<void> {
    const { headers } = this.#credential;
    const answer = await exchange(this.#transport, { url: `${this.#base}/`, method: 'HEAD', headers }, signal);
    if ([502, 503, 504].includes(answer.status)) throw new HttpFault(answer, '');
  }

  /** Some servers repeat a refused key in their answer. */
  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const mapping: typeof mapError = (error, about) => this.#credential.withoutKey(mapError(error, about));
    return mapped(mapping, { endpoint: this.endpoint, model, signal }, work);
  }
}

const ignored = () =>
  new MillraceError(
    'CAPABILITY_MISSING',
    'the pool’s request does not have the second text: name /pairs or /input/textPair',
  );

/**
 * The context of the batch that begins with the text `at`: it goes on with a job of its own alone, and has a key of its
 * own, under which a server keeps its answer.
 */
function ofBatch(context: CallContext, at: number): CallContext {
  const { resumeFrom, idempotencyKey, ...rest } = context;
  const kept = isJsonObject(resumeFrom) && resumeFrom.batch === at ? resumeFrom.of : undefined;
  return {
    ...rest,
    ...(idempotencyKey !== undefined && { idempotencyKey: at > 0 ? `${idempotencyKey}-${at}` : idempotencyKey }),
    ...(kept !== undefined && { resumeFrom: kept }),
    checkpoint: (of) => context.checkpoint(of === null ? null : { batch: at, of }),
  };
}
