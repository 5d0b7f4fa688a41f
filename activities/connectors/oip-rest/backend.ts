import { baseUrl } from '../base-url.js';
import type { Backend, Call, CallContext, Reply, Repository } from '../connector.js';
import { loadStates } from '../load-states.js';
import { mapped } from '../mapped.js';
import { plainRequests, TensorModels } from '../tensors/index.js';
import type { LinkedTransport } from '../transport.js';
import { OipRestClient } from './client.js';
import { mapError } from './errors.js';
import { hasNoRepository, heal } from './heal.js';
import { infer } from './infer.js';
import type { OipRestOptions } from './options.js';
import { RestTensorClient } from './tensor-client.js';

/** One server of the protocol. */
export class OipRestBackend implements Backend {
  readonly endpoint: string;
  readonly close: () => void;
  /** Removed once the server has answered that it has no repository API. */
  heal?: (model: string, signal: AbortSignal) => Promise<void>;
  readonly repository: Repository;
  readonly #client: OipRestClient;
  readonly #models: TensorModels;

  constructor(endpoint: string, { fetch: transport, close }: LinkedTransport, options: OipRestOptions = {}) {
    this.close = close;
    this.endpoint = endpoint;
    this.#client = new OipRestClient(baseUrl(endpoint, 'oip-rest'), transport);
    this.#models = new TensorModels(new RestTensorClient(this.#client), options.tensors);
    this.heal = (model, signal) => this.#mapped(model, signal, () => this.#heal(model, signal));
    const client = this.#client;
    this.repository = {
      states: (signal) => this.#mapped('the repository', signal, async () => loadStates(await client.index(signal))),
      load: (model, signal) => this.#mapped(model, signal, () => client.load(model, signal)),
      unload: (model, signal) => this.#mapped(model, signal, () => client.unload(model, signal)),
    };
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    const { signal } = context;
    return this.#mapped(call.model, signal, () =>
      call.kind === 'infer'
        ? infer.invoke(call, this.#client, context)
        : this.#models.invoke(call, context, plainRequests(context)),
    );
  }

  probe(model: string, kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, () =>
      kind === 'infer'
        ? infer.probe(model, this.#client, signal)
        : this.#models.probe(kind, model, signal, plainRequests()),
    );
  }

  /** A line about each tensor of the pool's map. Throws if it does not fit the model. */
  tensors(model: string, kind: string, signal: AbortSignal): Promise<readonly string[]> {
    return this.#mapped(model, signal, () => this.#models.describe(kind, model, signal));
  }

  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, () => this.#client.fingerprint(model, signal));
  }

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
