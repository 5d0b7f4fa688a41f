import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import { limited } from '../../../runtime/limited.js';
import type { Backend, Batching, Call, CallContext, Link, Reply, Repository, ServerWork } from '../connector.js';
import { MOST_MESSAGE_BYTES } from '../grpc/channel.js';
import { loadStates } from '../load-states.js';
import { mapped } from '../mapped.js';
import { type Requests, TensorModels } from '../tensors/index.js';
import { batchingOf, together } from './batching.js';
import { TritonClient } from './client.js';
import { hasNoControl, mapError } from './errors.js';
import { heal, stateOf } from './heal.js';
import { infer } from './infer.js';
import type { KindContext } from './kind-handler.js';
import type { TritonOptions } from './options.js';
import { requestsOf } from './requests.js';

/** Longest wait for the server's answer whether it is loading a model, which normally takes a millisecond. */
const STATE_MS = 1_000;

/** One Triton server. */
export class TritonBackend implements Backend {
  readonly endpoint: string;
  /** Removed once the server has refused a repair: it loads models only at its start. */
  heal?: (model: string, signal: AbortSignal) => Promise<void>;
  readonly repository: Repository;
  readonly #client: TritonClient;
  readonly #models: TensorModels;
  readonly #options: TritonOptions;

  constructor(endpoint: string, options: TritonOptions = {}, link: Link = {}) {
    this.endpoint = endpoint;
    this.#options = options;
    this.#client = new TritonClient(endpoint, options, link);
    this.#models = new TensorModels(this.#client, options.tensors);
    this.heal = (model, signal) => this.#heal(model, signal);
    this.repository = {
      states: (signal) =>
        this.#mapped('the repository', signal, async () => loadStates(await this.#client.index(signal))),
      load: (model, signal) => this.#mapped(model, signal, () => this.#client.load(model, signal)),
      unload: (model, signal) => this.#mapped(model, signal, () => this.#client.unload(model, signal)),
    };
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    return this.#loaded(call.model, context.signal, async () =>
      call.kind === 'infer'
        ? infer.invoke(call, await this.#inferring(call.model, context))
        : this.#models.invoke(call, context, await this.#requests(call.model, context)),
    );
  }

  async probe(model: string, kind: string, signal: AbortSignal): Promise<void> {
    await this.#loaded(model, signal, async () =>
      kind === 'infer'
        ? infer.probe(model, this.#client, signal)
        : this.#models.probe(kind, model, signal, await this.#requests(model, { signal })),
    );
  }

  work(model: string, signal: AbortSignal): Promise<ServerWork> {
    return this.#mapped(model, signal, async () => {
      const versions = await this.#client.statistics(model, signal);
      const sum = (of: 'succeeded' | 'queueMs' | 'computeMs') => versions.reduce((total, one) => total + one[of], 0);
      const batches = together(versions.flatMap((version) => version.batches));
      return { requests: sum('succeeded'), queueMs: sum('queueMs'), computeMs: sum('computeMs'), batches };
    });
  }

  batching(model: string, signal: AbortSignal): Promise<Batching> {
    return this.#mapped(model, signal, async () => batchingOf(await this.#client.config(model, signal)));
  }

  server(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, () => this.#client.server(signal));
  }

  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#loaded(model, signal, () => this.#client.fingerprint(model, signal));
  }

  close(): void {
    this.#client.close();
  }

  /** A line about each tensor of the pool's map. Throws if it does not fit the model. */
  tensors(model: string, kind: string, signal: AbortSignal): Promise<readonly string[]> {
    return this.#loaded(model, signal, () => this.#models.describe(kind, model, signal));
  }

  sharedMemory(signal: AbortSignal): Promise<{ readonly refused?: string } | undefined> {
    return this.#client.sharedMemory(signal);
  }

  async #inferring(model: string, context: CallContext): Promise<KindContext> {
    const { priorityLevels } = await this.#client.traits(model, context.signal);
    // A stage that names tensors itself also starts and ends its sequences itself.
    const { parameters = {} } = requestsOf({ priorityLevels, sequential: false }, context, this.#options).next(true);
    return {
      ...context,
      client: this.#client,
      requests: parameters,
      mostBytes: this.#options.maxMessageBytes ?? MOST_MESSAGE_BYTES,
      imageAs: async (name, image) => {
        if (!context.artifacts) throw new MillraceError('INTERNAL', 'this host has no artifacts');
        const bytes = await context.artifacts.read(image);
        return this.#models.imageAs(model, name, bytes, context);
      },
    };
  }

  async #requests(
    model: string,
    context: Pick<CallContext, 'signal' | 'priority' | 'endsAt' | 'traceparent'>,
  ): Promise<Requests> {
    return requestsOf(await this.#client.traits(model, context.signal), context, this.#options);
  }

  async #heal(model: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#mapped(model, signal, () => heal(this.#client, model, signal));
    } catch (error) {
      if (hasNoControl(messageOf(error))) delete this.heal;
      throw error;
    }
  }

  /** As `#mapped`; a model that is still loading is mapped to unavailable instead of missing. */
  async #loaded<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#mapped(model, signal, work);
    } catch (error) {
      const missing = error instanceof MillraceError && error.code === 'MODEL_NOT_FOUND' && !signal.aborted;
      if (!missing || !(await this.#isLoading(model, signal))) throw error;
      const message = `${model} at ${this.endpoint}: the server is loading the model`;
      throw new MillraceError('BACKEND_UNAVAILABLE', message, { endpoint: this.endpoint, unsent: true });
    }
  }

  async #isLoading(model: string, signal: AbortSignal): Promise<boolean> {
    try {
      return await limited(STATE_MS, signal, async (own) => (await stateOf(this.#client, model, own)) === 'LOADING');
    } catch {
      return false;
    }
  }

  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return mapped(mapError, { endpoint: this.endpoint, model, signal }, work);
  }
}
