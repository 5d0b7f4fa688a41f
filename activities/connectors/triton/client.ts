import { createHash } from 'node:crypto';
import { type ChannelOptions, Client, credentials } from '@grpc/grpc-js';
import { canonicalJson } from '../../../pipelines/json.js';
import { isLoopback } from '../../loopback.js';
import { inferenceService, type Methods, type ModelConfig, type ModelIndex, type ModelStatistics } from './protocol.js';
import type { Tensor } from './tensors.js';

const MEBIBYTE = 1024 * 1024;

const CHANNEL: ChannelOptions = {
  // gRPC's limit of 4 MiB is 87 s of 16-bit speech at 24 kHz; a bounded one stays so that a wild answer cannot fill memory.
  'grpc.max_receive_message_length': 64 * MEBIBYTE,
  'grpc.max_send_message_length': 64 * MEBIBYTE,
  // A restarted server is used again within a second of its return: gRPC's own backoff grows to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A host name that now means another machine (a rescheduled pod) is looked up again after 1 s, not 30 s.
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  // A call is sent once: the stage's policy owns retries.
  'grpc.enable_retries': 0,
  // Notices a machine that vanished without a word. No more often: Triton allows one ping in five minutes and closes the
  // connection, calls included, of who sends more.
  'grpc.keepalive_time_ms': 310_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** A gRPC client of one Triton endpoint. Errors are grpc-js's `ServiceError`, or the reason of the signal that aborted. */
export class TritonClient {
  readonly #client: Client;

  /** `address`: `host:port`, or `grpcs://host:port` for TLS with the system's certificate authorities. */
  constructor(address: string) {
    const tls = address.startsWith('grpcs://');
    this.#client = new Client(
      address.replace(/^grpcs?:\/\//, ''),
      tls ? credentials.createSsl() : credentials.createInsecure(),
      { ...CHANNEL, ...(isLoopback(address) && { 'grpc.enable_http_proxy': 0 }) },
    );
  }

  /** Runs a model once. `raw` of every output is its bytes, still to be read. */
  async infer(model: string, inputs: readonly Tensor[], signal: AbortSignal): Promise<ReadonlyMap<string, Tensor>> {
    const { outputs, raw_output_contents } = await this.#call(
      'ModelInfer',
      {
        model_name: model,
        inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
        raw_input_contents: inputs.map(({ raw }) => raw),
      },
      signal,
    );
    return new Map(
      outputs.map((header, i) => [header.name, { ...header, raw: raw_output_contents[i] ?? Buffer.alloc(0) }]),
    );
  }

  async config(model: string, signal: AbortSignal): Promise<ModelConfig | undefined> {
    return (await this.#call('ModelConfig', { name: model }, signal)).config ?? undefined;
  }

  /**
   * The `fingerprint` parameter of the model's configuration, which whoever deploys the weights sets to their hash; without
   * it a hash of configuration, versions and tensors, which new weights under an old version number do not change.
   */
  async fingerprint(model: string, signal: AbortSignal): Promise<string> {
    const config = await this.config(model, signal);
    const given = config?.parameters.fingerprint?.string_value;
    if (given) return given;
    const metadata = await this.#call('ModelMetadata', { name: model }, signal);
    const described = JSON.parse(JSON.stringify({ config, metadata }));
    return createHash('sha256').update(canonicalJson(described)).digest('hex').slice(0, 16);
  }

  /** Every version of every model in the repository, loaded or not. */
  async index(signal: AbortSignal): Promise<readonly ModelIndex[]> {
    return (await this.#call('RepositoryIndex', {}, signal)).models;
  }

  /** Returns when the model is loaded. Needs `--model-control-mode=explicit`. */
  async load(model: string, signal: AbortSignal): Promise<void> {
    await this.#call('RepositoryModelLoad', { model_name: model }, signal);
  }

  /** Returns when unloading has begun: calls in flight end first. Needs `--model-control-mode=explicit`. */
  async unload(model: string, signal: AbortSignal): Promise<void> {
    await this.#call('RepositoryModelUnload', { model_name: model }, signal);
  }

  async statistics(model: string, signal: AbortSignal): Promise<readonly ModelStatistics[]> {
    return (await this.#call('ModelStatistics', { name: model }, signal)).model_stats;
  }

  close(): void {
    this.#client.close();
  }

  /** The only deadline of a call is the signal's abort, which cancels it at the server. */
  #call<M extends keyof Methods>(
    method: M,
    request: Methods[M]['request'],
    signal: AbortSignal,
  ): Promise<Methods[M]['response']> {
    const { path, requestSerialize, responseDeserialize } = inferenceService[
      method
    ] as (typeof inferenceService)[string];
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
