import { createHash } from 'node:crypto';
import { type Client, compressionAlgorithms, type Metadata, status } from '@grpc/grpc-js';
import { MillraceError } from '../../../pipelines/errors.js';
import { canonicalJson } from '../../../pipelines/json.js';
import type {
  InferRequest,
  Methods,
  ModelConfig,
  ModelIndex,
  StreamResponse,
  Tensor,
  TensorMessage,
} from '../../../protocols/open-inference/index.js';
import { inferenceService, tensorsOf } from '../../../protocols/open-inference/index.js';
import type { Link } from '../connector.js';
import { MOST_MESSAGE_BYTES, openChannel } from '../grpc/channel.js';
import { keepCompressing } from '../grpc/compression.js';
import { metadataOf } from '../grpc/link.js';
import type { ModelTensors, Outputs, RequestOptions, TensorClient } from '../tensors/index.js';
import { streamError } from './errors.js';
import type { TritonOptions } from './options.js';
import { isTooSmall, isUnknownRegion, Regions, regionCalls, SharedTensors } from './shared-memory/index.js';
import { type ModelStatistics, statisticsOf } from './statistics.js';

/** How a model accepts requests. */
export interface Traits {
  /** A request has any number of responses, on a stream. */
  readonly decoupled: boolean;
  /** Requests belong to sequences and carry a `sequence_id`. */
  readonly sequential: boolean;
  /** Number of priorities of its queue; 0: it has none. */
  readonly priorityLevels: number;
}

/** The files of a model, by path in its folder (`1/model.py`), and its `ModelConfig` as protobuf JSON. */
export interface ModelFiles {
  readonly config: string;
  readonly files: Readonly<Record<string, Buffer>>;
}

/** A gRPC client of one Triton endpoint. Errors are grpc-js's `ServiceError`, `MillraceError`, or the signal's reason. */
export class TritonClient implements TensorClient {
  readonly #client: Client;
  readonly #traits = new Map<string, Traits>();

  /** That of the pool; empty: the server's version policy chooses. */
  readonly version: string;
  readonly #shared: SharedTensors | undefined;
  /** Of every call. */
  readonly #metadata: Metadata;

  /**
   * @param address `host:port`, or `grpcs://host:port` for TLS with the system's certificate authorities
   * @param options those of the pool about calls: the model's version, compression, the greatest message, shared memory
   * @param link certificates, headers and the server's name. Throws `INVALID_SETTING` where gRPC cannot have them.
   */
  constructor(
    address: string,
    { version = '', compression = 'none', maxMessageBytes, sharedMemoryBytes }: TritonOptions = {},
    link: Link = {},
  ) {
    this.version = version;
    const most = maxMessageBytes ?? MOST_MESSAGE_BYTES;
    this.#metadata = metadataOf(link);
    this.#client = openChannel(address, link, {
      'grpc.max_receive_message_length': most,
      'grpc.max_send_message_length': most,
      'grpc.default_compression_algorithm': compressionAlgorithms[ALGORITHM[compression]],
    });
    if (compression !== 'none') keepCompressing(this.#client);
    const calls = regionCalls((method, request, signal) => this.#call(method, request, signal));
    this.#shared =
      sharedMemoryBytes === undefined ? undefined : new SharedTensors(new Regions(calls, sharedMemoryBytes));
  }

  /** Runs a model that has one response. */
  async infer(
    model: string,
    inputs: readonly Tensor[],
    signal: AbortSignal,
    options: RequestOptions = {},
  ): Promise<Outputs> {
    const { traceparent } = options;
    const request = this.#request(model, inputs, options);
    const outputs =
      (await this.#inShared(request, signal, traceparent)) ??
      tensorsOf(await this.#call('ModelInfer', request, signal, traceparent));
    this.#shared?.note(model, outputs);
    return outputs;
  }

  /**
   * The outputs of a call with its large tensors in shared memory. Undefined if it has none, or if the server could not
   * use the region; the model has run then if an output was larger than ever before, which is not tried with a model
   * that keeps state between calls.
   */
  async #inShared(request: InferRequest, signal: AbortSignal, traceparent?: string): Promise<Outputs | undefined> {
    const stateless = this.#traits.get(request.model_name)?.sequential === false;
    const shared = await this.#shared?.place(request, { outputs: stateless, signal });
    if (!shared) return undefined;
    try {
      const outputs = await shared.read(await this.#call('ModelInfer', shared.request, signal, traceparent));
      shared.end();
      return outputs;
    } catch (error) {
      shared.fail();
      signal.throwIfAborted();
      if (isUnknownRegion(error)) void this.#shared?.regions.forget();
      else if (!isTooSmall(error)) throw error;
      return undefined;
    }
  }

  /**
   * Whether tensors can go by shared memory, by making and giving up a region: the reason if not. Undefined if the pool
   * does not ask for it.
   */
  async sharedMemory(signal: AbortSignal): Promise<{ readonly refused?: string } | undefined> {
    if (!this.#shared) return undefined;
    const { regions } = this.#shared;
    const region = await regions.take(1, signal);
    if (region) await regions.discard(region);
    return region ? {} : { refused: regions.refusal ?? 'all of it is in use' };
  }

  /**
   * Runs any model and yields its responses as they arrive: one, unless the model is decoupled. Leaving the loop early
   * cancels the rest. The model's properties are queried once, and again after a failure, because the model may have
   * been replaced.
   */
  async *responses(
    model: string,
    inputs: readonly Tensor[],
    signal: AbortSignal,
    options: RequestOptions = {},
  ): AsyncGenerator<Outputs, void> {
    try {
      if ((await this.traits(model, signal)).decoupled)
        yield* this.#stream(this.#request(model, inputs, options), signal, options.traceparent);
      else yield await this.infer(model, inputs, signal, options);
    } catch (error) {
      // An abort says nothing about the model.
      if (!signal.aborted) this.#traits.delete(model);
      throw error;
    }
  }

  /** Undefined if the server lacks this Triton extension, as MLServer does. */
  async config(model: string, signal: AbortSignal): Promise<ModelConfig | undefined> {
    try {
      return (await this.#call('ModelConfig', { name: model, version: this.version }, signal)).config ?? undefined;
    } catch (error) {
      if ((error as { code?: unknown }).code === status.UNIMPLEMENTED) return undefined;
      throw error;
    }
  }

  /** Queried once. Without an answer models are treated as plain. */
  async traits(model: string, signal: AbortSignal): Promise<Traits> {
    const known = this.#traits.get(model);
    if (known) return known;
    const config = await this.config(model, signal);
    const traits = {
      decoupled: config?.model_transaction_policy?.decoupled ?? false,
      sequential: Boolean(config?.sequence_batching),
      priorityLevels: Number(config?.dynamic_batching?.priority_levels ?? 0),
    };
    this.#traits.set(model, traits);
    return traits;
  }

  /**
   * The `fingerprint` parameter of the model's configuration, which the deployer sets to a hash of the weights; without
   * it a hash of configuration, versions and tensors, which does not change with new weights under an old version
   * number. All versions of a model have one configuration: where the pool names one, its number is part of the result.
   */
  async fingerprint(model: string, signal: AbortSignal): Promise<string> {
    const config = await this.config(model, signal);
    const given = config?.parameters.fingerprint?.string_value;
    const ofVersion = this.version === '' ? '' : `@${this.version}`;
    if (given) return `${given}${ofVersion}`;
    const metadata = await this.#call('ModelMetadata', { name: model, version: this.version }, signal);
    const described = JSON.parse(JSON.stringify(fingerprinted(config, metadata)));
    const hash = createHash('sha256').update(canonicalJson(described)).digest('hex').slice(0, 16);
    return `${hash}${ofVersion}`;
  }

  /** The server's name and version. */
  async server(signal: AbortSignal): Promise<string> {
    const { name, version } = await this.#call('ServerMetadata', {}, signal);
    return `${name} ${version}`.trim();
  }

  /** Every version of every model in the repository, loaded or not. */
  async index(signal: AbortSignal): Promise<readonly ModelIndex[]> {
    return (await this.#call('RepositoryIndex', {}, signal)).models;
  }

  /** Returns if the server reports the model as ready; throws `MODEL_NOT_FOUND` otherwise. */
  async ready(model: string, signal: AbortSignal): Promise<void> {
    const { ready } = await this.#call('ModelReady', { name: model, version: this.version }, signal);
    if (!ready) throw new MillraceError('MODEL_NOT_FOUND', 'the model is not ready');
  }

  /**
   * The tensors of a model by its metadata, with its optional inputs, which only the configuration names: those that the
   * metadata lack come last, with the batch dimension of the others.
   */
  async tensors(model: string, signal: AbortSignal): Promise<ModelTensors> {
    const [{ inputs, outputs }, config] = await Promise.all([
      this.#call('ModelMetadata', { name: model, version: this.version }, signal),
      this.config(model, signal),
    ]);
    const optional = new Set((config?.input ?? []).filter((input) => input.optional).map(({ name }) => name));
    const described = ({ name, datatype, shape }: TensorMessage) => ({ name, datatype, shape: shape.map(Number) });
    return {
      inputs: inputs.map((input) => ({ ...described(input), ...(optional.has(input.name) && { optional: true }) })),
      outputs: outputs.map(described),
      decoupled: config?.model_transaction_policy?.decoupled ?? false,
    };
  }

  /**
   * Returns when the model is loaded, from the repository or from the files given. Needs `--model-control-mode=explicit`.
   */
  async load(model: string, signal: AbortSignal, from?: ModelFiles): Promise<void> {
    const files = Object.entries(from?.files ?? {}).map(([name, bytes]) => [`file:${name}`, { bytes_param: bytes }]);
    const parameters = from && { config: { string_param: from.config }, ...Object.fromEntries(files) };
    await this.#call('RepositoryModelLoad', { model_name: model, ...(parameters && { parameters }) }, signal);
  }

  /** Returns when unloading has begun: calls in flight end first. Needs `--model-control-mode=explicit`. */
  async unload(model: string, signal: AbortSignal): Promise<void> {
    await this.#call('RepositoryModelUnload', { model_name: model }, signal);
  }

  /** Statistics of each loaded version. A call is counted a moment after its answer. */
  async statistics(model: string, signal: AbortSignal): Promise<readonly ModelStatistics[]> {
    return (await this.#call('ModelStatistics', { name: model, version: this.version }, signal)).model_stats.map(
      statisticsOf,
    );
  }

  close(): void {
    // Its regions are unregistered over the connection.
    if (this.#shared) void this.#shared.regions.close().finally(() => this.#client.close());
    else this.#client.close();
  }

  #metadataOf(traceparent: string | undefined): Metadata {
    const metadata = this.#metadata.clone();
    if (traceparent !== undefined) metadata.set('traceparent', traceparent);
    return metadata;
  }

  #request(model: string, inputs: readonly Tensor[], { outputs = [], parameters = {} }: RequestOptions): InferRequest {
    return {
      model_name: model,
      model_version: this.version,
      parameters,
      inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
      outputs: outputs.map((name) => ({ name })),
      raw_input_contents: inputs.map(({ raw }) => raw),
    };
  }

  /** One request on a stream of its own, so that cancelling the stream cancels only this request. */
  async *#stream(request: InferRequest, signal: AbortSignal, traceparent?: string): AsyncGenerator<Outputs, void> {
    signal.throwIfAborted();
    const { path, requestSerialize, responseDeserialize } = methodOf('ModelStreamInfer');
    const call = this.#client.makeBidiStreamRequest<object, StreamResponse>(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => StreamResponse,
      this.#metadataOf(traceparent),
    );
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    // A cancelled call reports its end after the last reader has gone.
    call.on('error', () => undefined);
    try {
      // The end is marked by a final response, which is empty unless it is also the model's last one.
      const parameters = { ...request.parameters, triton_enable_empty_final_response: { bool_param: true } };
      call.write({ ...request, parameters });
      let whole = false;
      for await (const { error_message, infer_response: response } of call as AsyncIterable<StreamResponse>) {
        if (error_message !== '' || !response) throw streamError(error_message);
        if (response.outputs.length > 0) yield tensorsOf(response);
        if (response.parameters.triton_final_response?.bool_param) {
          whole = true;
          call.end();
        }
      }
      // A server that shuts down, or a proxy, may end a stream early without an error.
      if (!whole) throw new MillraceError('BACKEND_UNAVAILABLE', 'the stream ended before the last response');
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  /** A call's only deadline is the signal's abort, which cancels it at the server. */
  #call<M extends keyof Methods>(
    method: M,
    request: Methods[M]['request'],
    signal: AbortSignal,
    traceparent?: string,
  ): Promise<Methods[M]['response']> {
    const { path, requestSerialize, responseDeserialize } = methodOf(method);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = () => {
        call.cancel();
        reject(signal.reason);
      };
      const call = this.#client.makeUnaryRequest<object, Methods[M]['response']>(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadataOf(traceparent),
        (error, response) => {
          signal.removeEventListener('abort', cancel);
          if (error) reject(error);
          else resolve(response as Methods[M]['response']);
        },
      );
      signal.addEventListener('abort', cancel, { once: true });
    });
  }
}

/**
 * Input of the fingerprint. Its fields must not change: another fingerprint of the same model would orphan the vector
 * indexes built with it.
 */
function fingerprinted(config: ModelConfig | undefined, metadata: Methods['ModelMetadata']['response']) {
  const { input: _, output: __, instance_group: ___, dynamic_batching: ____, ...rest } = config ?? {};
  const [inputs, outputs] = [metadata.inputs, metadata.outputs].map((tensors) =>
    tensors.map((tensor) => ({ ...tensor, contents: null })),
  );
  return { config: config && rest, metadata: { ...metadata, inputs, outputs } };
}

const methodOf = (name: keyof Methods | 'ModelStreamInfer') =>
  inferenceService[name] as (typeof inferenceService)[string];

/** gRPC's names. */
const ALGORITHM = { none: 'identity', deflate: 'deflate', gzip: 'gzip' } as const;
