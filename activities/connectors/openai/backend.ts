import type { ClientOptions, OpenAI } from 'openai';
import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import type { Backend, Call, CallContext, Link, MapError, Pressure, Reply } from '../connector.js';
import { handlerOf, mapped } from '../mapped.js';
import { type LinkedTransport, transportOf } from '../transport.js';
import { callHeaders } from './call-headers.js';
import { boundedFetch } from './error-bodies.js';
import { errorMapper } from './errors.js';
import { frontendHealthy, healthy, unlistedAtFirst } from './health.js';
import { KIND_HANDLERS } from './kinds.js';
import { ListReadings } from './list-readings.js';
import { fingerprint, requireModel, server, unlisted } from './models.js';
import type { OpenAiOptions, ServerSoftware } from './options.js';
import { pressure } from './pressure.js';
import { RefusedParameters } from './refused-parameters.js';

/**
 * The longest time that a timer can hold: the client requires a limit, but the caller's signal is the only one that
 * counts.
 */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** Codes of calls after which the server may be gone. */
const MAY_BE_GONE: ReadonlySet<ErrorCode> = new Set(['BACKEND_UNAVAILABLE', 'BACKEND_TIMEOUT']);

/** One server of OpenAI's HTTP API. */
export class OpenAiBackend implements Backend {
  readonly endpoint: string;
  readonly #clientOptions: ClientOptions;
  #opened: Promise<OpenAI> | undefined;
  readonly #transport: LinkedTransport<typeof fetch>;
  readonly #options: OpenAiOptions;
  readonly #headers: Readonly<Record<string, string | null>>;
  readonly #mapError: MapError;
  /** Models that the server is known to have, with its software. */
  readonly #present = new Map<string, ServerSoftware>();
  readonly #readings = new ListReadings();
  readonly #refused = new RefusedParameters();

  /** @param apiKey bearer token, never part of an error or a log line; undefined: requests carry none */
  constructor(endpoint: string, apiKey: string | undefined, options: OpenAiOptions, link?: Link) {
    this.#transport = transportOf(endpoint, link);
    this.endpoint = endpoint;
    this.#options = options;
    this.#headers = apiKey === undefined ? { authorization: null } : {};
    this.#mapError = errorMapper(apiKey ?? '');
    this.#clientOptions = {
      baseURL: endpoint,
      // The client requires a key; the header below removes it again.
      apiKey: apiKey ?? 'none',
      defaultHeaders: this.#headers,
      maxRetries: 0,
      timeout: NO_TIMEOUT_MS,
      logLevel: 'off',
      fetch: boundedFetch(this.#transport.fetch),
      // The client reads options that are not given from the environment.
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
    };
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    return this.#mapped(call.model, context.signal, async () => {
      const { handler, software } = await this.#ready(call.kind, call.model, context.signal);
      return handler.invoke(call, {
        ...context,
        client: await this.#clientOf(context),
        software,
        options: this.#options,
        refused: this.#refused,
      });
    });
  }

  probe(model: string, kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, async () => {
      const { handler } = await this.#ready(kind, model, signal);
      await handler.probe(model, await this.#client(), signal, this.#options);
    });
  }

  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, async () => fingerprint(await this.#client(), model, signal));
  }

  /**
   * By `GET /health`, which vLLM, SGLang and llama.cpp have beside `/v1`; Triton's OpenAI frontend has `/health/ready`. Servers of other
   * software are asked for their models only, once a minute: a LiteLLM proxy calls each of its models for `/health`, for money.
   */
  ready(model: string, signal: AbortSignal): Promise<boolean> {
    return this.#mapped(model, signal, async () => {
      const client = await this.#client();
      const known = this.#options.server ?? this.#present.get(model);
      const refused = known === undefined ? unlistedAtFirst : (error: unknown) => unlisted(error, known);
      const again = (own: AbortSignal) => this.#mapped(model, own, () => this.#list(model, own, refused));
      if (known === 'other' && this.#readings.has(model, again)) return false;
      const found = await this.#list(model, signal, refused);
      switch (this.#options.server ?? found) {
        case 'other':
          return false;
        case 'triton':
          return frontendHealthy(client, signal);
        default:
          return healthy(client, signal);
      }
    });
  }

  pressure(signal: AbortSignal): Promise<Pressure | undefined> {
    return this.#mapped('metrics', signal, async () => pressure(await this.#client(), signal));
  }

  server(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, async () => server(await this.#client(), model, signal));
  }

  /** Connections without a link belong to Node's fetch and end when idle. */
  close(): void {
    this.#readings.close();
    this.#transport.close();
  }

  /** Made for the first request: the gateway, which calls no model, never loads OpenAI's library. */
  #client(): Promise<OpenAI> {
    this.#opened ??= import('openai').then(({ OpenAI }) => new OpenAI(this.#clientOptions));
    return this.#opened;
  }

  /** The client with the headers of one call. */
  async #clientOf(context: CallContext): Promise<OpenAI> {
    const headers = callHeaders(this.#options, context);
    const client = await this.#client();
    if (Object.keys(headers).length === 0) return client;
    return client.withOptions({ defaultHeaders: { ...this.#headers, ...headers } });
  }

  async #ready(kind: string, model: string, signal: AbortSignal) {
    const handler = handlerOf(KIND_HANDLERS, kind, 'openai');
    return { handler, software: await this.#softwareAt(model, signal) };
  }

  async #softwareAt(model: string, signal: AbortSignal): Promise<ServerSoftware> {
    const found = this.#present.get(model) ?? (await this.#list(model, signal));
    return this.#options.server ?? found;
  }

  /** The server's software, by its list of models. */
  async #list(
    model: string,
    signal: AbortSignal,
    refused: (error: unknown) => ServerSoftware = unlisted,
  ): Promise<ServerSoftware> {
    let isRead = true;
    const found = await requireModel(await this.#client(), model, signal, (error) => {
      isRead = false;
      return refused(error);
    });
    this.#present.set(model, found);
    if (isRead) this.#readings.add(model);
    return found;
  }

  async #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await mapped(this.#mapError, { endpoint: this.endpoint, model, signal }, work);
    } catch (error) {
      // The server may be a different one when it returns.
      if (error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE') this.#present.clear();
      if (error instanceof MillraceError && MAY_BE_GONE.has(error.code)) this.#readings.clear();
      throw error;
    }
  }
}
