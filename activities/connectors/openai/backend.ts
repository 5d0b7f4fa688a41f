import { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Backend, Call, CallContext, MapError, Reply } from '../connector.js';
import { handlerOf, mapped } from '../mapped.js';
import { boundedFetch } from './error-bodies.js';
import { errorMapper } from './errors.js';
import type { KindHandler } from './kind-handler.js';
import { KIND_HANDLERS } from './kinds.js';
import { fingerprint, requireModel, server } from './models.js';

/**
 * The longest time that a timer can hold: the client requires a limit, but the caller's signal is the only one that
 * counts.
 */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** One server of OpenAI's HTTP API. */
export class OpenAiBackend implements Backend {
  readonly endpoint: string;
  readonly #client: OpenAI;
  readonly #mapError: MapError;
  /** Models that the server is known to have. */
  readonly #present = new Set<string>();

  /** @param apiKey bearer token, never part of an error or a log line; undefined: requests carry none */
  constructor(endpoint: string, apiKey: string | undefined) {
    this.endpoint = endpoint;
    this.#mapError = errorMapper(apiKey ?? '');
    this.#client = new OpenAI({
      baseURL: endpoint,
      // The client requires a key; the header below removes it again.
      apiKey: apiKey ?? 'none',
      ...(apiKey === undefined && { defaultHeaders: { authorization: null } }),
      maxRetries: 0,
      timeout: NO_TIMEOUT_MS,
      logLevel: 'off',
      fetch: boundedFetch,
      // The client reads options that are not given from the environment.
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
    });
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    return this.#mapped(call.model, context.signal, async () => {
      const served = await this.#ready(call.kind, call.model, context.signal);
      return served.invoke(call, { ...context, client: this.#client });
    });
  }

  probe(model: string, kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, async () => {
      const served = await this.#ready(kind, model, signal);
      await served.probe(model, this.#client, signal);
    });
  }

  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, () => fingerprint(this.#client, model, signal));
  }

  server(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, () => server(this.#client, model, signal));
  }

  /** Nothing to close: connections belong to Node's fetch and end when idle. */
  close(): void {}

  async #ready(kind: string, model: string, signal: AbortSignal): Promise<KindHandler> {
    const served = handlerOf(KIND_HANDLERS, kind, 'openai');
    if (!this.#present.has(model)) {
      await requireModel(this.#client, model, signal);
      this.#present.add(model);
    }
    return served;
  }

  async #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await mapped(this.#mapError, { endpoint: this.endpoint, model, signal }, work);
    } catch (error) {
      // The server may be a different one when it returns.
      if (error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE') this.#present.clear();
      throw error;
    }
  }
}
