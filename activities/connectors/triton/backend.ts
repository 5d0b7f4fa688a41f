import type { StageKindName } from '../../../pipelines/stages/index.js';
import type { Backend, Batching, Call, CallContext, Reply, ServerWork } from '../connector.js';
import { kindIn, mapped } from '../mapped.js';
import { batchingOf, together } from './batching.js';
import { classify } from './classify.js';
import { TritonClient } from './client.js';
import { heal } from './heal.js';
import { MODEL_KINDS } from './kinds.js';
import type { ModelKind } from './model-kind.js';

/** One Triton server. */
export class TritonBackend implements Backend {
  readonly endpoint: string;
  readonly #client: TritonClient;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.#client = new TritonClient(endpoint);
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    return this.#mapped(call.model, context.signal, () =>
      modelKind(call.kind).invoke(call, { ...context, client: this.#client }),
    );
  }

  async probe(model: string, kind: StageKindName, signal: AbortSignal): Promise<void> {
    await this.#mapped(model, signal, async () => modelKind(kind).probe(model, this.#client, signal));
  }

  heal(model: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, () => heal(this.#client, model, signal));
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
    return this.#mapped(model, signal, () => this.#client.fingerprint(model, signal));
  }

  close(): void {
    this.#client.close();
  }

  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return mapped(classify, { endpoint: this.endpoint, model, signal }, work);
  }
}

const modelKind = (kind: StageKindName): ModelKind => kindIn(MODEL_KINDS, kind, 'triton');
