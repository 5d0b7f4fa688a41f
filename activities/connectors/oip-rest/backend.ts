import { baseUrl } from '../base-url.js';
import type { Backend, Call, CallContext, Reply } from '../connector.js';
import type { Transport } from '../exchange.js';
import { handlerOf, mapped } from '../mapped.js';
import { OipRestClient } from './client.js';
import { mapError } from './errors.js';
import { hasNoRepository, heal } from './heal.js';
import type { KindHandler } from './kind-handler.js';
import { KIND_HANDLERS } from './kinds.js';

/** One server of the protocol. */
export class OipRestBackend implements Backend {
  readonly endpoint: string;
  /** Removed once the server has answered that it has no repository API. */
  heal?: (model: string, signal: AbortSignal) => Promise<void>;
  readonly #client: OipRestClient;

  constructor(endpoint: string, transport: Transport) {
    this.endpoint = endpoint;
    this.#client = new OipRestClient(baseUrl(endpoint, 'oip-rest'), transport);
    this.heal = (model, signal) => this.#mapped(model, signal, () => this.#heal(model, signal));
  }

  invoke(call: Call, { signal }: Pick<CallContext, 'signal'>): Promise<Reply> {
    return this.#mapped(call.model, signal, () => handler(call.kind).invoke(call, this.#client, { signal }));
  }

  probe(model: string, kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, () => handler(kind).probe(model, this.#client, signal));
  }

  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, () => this.#client.fingerprint(model, signal));
  }

  /** Nothing to close: connections belong to the transport and end when idle. */
  close(): void {}

  async #heal(model: string, signal: AbortSignal): Promise<void> {
    try {
      await heal(this.#client, model, signal);
    } catch (error) {
      if (hasNoRepository(error)) delete this.heal;
      throw error;
    }
  }

  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return mapped(mapError, { endpoint: this.endpoint, model, signal }, work);
  }
}

const handler = (kind: string): KindHandler => handlerOf(KIND_HANDLERS, kind, 'oip-rest');
