import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

/*
 * The part of Triton's gRPC protocol that Millrace speaks: the KServe v2 inference protocol ("Open Inference Protocol",
 * https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto) with Triton's
 * model repository, configuration and statistics extensions (https://github.com/triton-inference-server/common,
 * protobuf/grpc_service.proto and model_config.proto; docs/protocol/ in the server's repository). Field numbers were read
 * from the descriptors of tritonclient 2.73.0. Fields that nothing here reads are left out: protobuf skips them.
 *
 * It is protobuf's JSON descriptor form, not .proto text, so that it needs neither a parser nor a file beside the code.
 */

const one = (type: string, id: number) => ({ type, id });
const many = (type: string, id: number) => ({ rule: 'repeated', type, id });
const map = (type: string, id: number) => ({ keyType: 'string', type, id });
const message = (fields: Record<string, ReturnType<typeof one | typeof many | typeof map>>) => ({ fields });
const unary = (request: string, response: string) => ({ requestType: request, responseType: response, comment: '' });

const tensor = message({
  name: one('string', 1),
  datatype: one('string', 2),
  shape: many('int64', 3),
});

const PROTOCOL = {
  GRPCInferenceService: {
    methods: {
      ModelMetadata: unary('ModelMetadataRequest', 'ModelMetadataResponse'),
      ModelInfer: unary('ModelInferRequest', 'ModelInferResponse'),
      ModelConfig: unary('ModelConfigRequest', 'ModelConfigResponse'),
      ModelStatistics: unary('ModelStatisticsRequest', 'ModelStatisticsResponse'),
      RepositoryIndex: unary('RepositoryIndexRequest', 'RepositoryIndexResponse'),
      RepositoryModelLoad: unary('RepositoryModelLoadRequest', 'RepositoryModelLoadResponse'),
      RepositoryModelUnload: unary('RepositoryModelUnloadRequest', 'RepositoryModelUnloadResponse'),
    },
  },
  ModelMetadataRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelMetadataResponse: message({
    name: one('string', 1),
    versions: many('string', 2),
    platform: one('string', 3),
    inputs: many('Tensor', 4),
    outputs: many('Tensor', 5),
  }),
  /** `ModelMetadataResponse.TensorMetadata`, `ModelInferRequest.InferInputTensor` and `ModelInferResponse.InferOutputTensor`. */
  Tensor: tensor,
  ModelInferRequest: message({
    model_name: one('string', 1),
    model_version: one('string', 2),
    id: one('string', 3),
    inputs: many('Tensor', 5),
    raw_input_contents: many('bytes', 7),
  }),
  ModelInferResponse: message({
    model_name: one('string', 1),
    model_version: one('string', 2),
    id: one('string', 3),
    outputs: many('Tensor', 5),
    raw_output_contents: many('bytes', 6),
  }),
  ModelConfigRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelConfigResponse: message({ config: one('ModelConfig', 1) }),
  ModelConfig: message({
    name: one('string', 1),
    platform: one('string', 2),
    max_batch_size: one('int32', 4),
    default_model_filename: one('string', 8),
    parameters: map('ModelParameter', 14),
    backend: one('string', 17),
  }),
  ModelParameter: message({ string_value: one('string', 1) }),
  ModelStatisticsRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelStatisticsResponse: message({ model_stats: many('ModelStatistics', 1) }),
  ModelStatistics: message({
    name: one('string', 1),
    version: one('string', 2),
    inference_count: one('uint64', 4),
    execution_count: one('uint64', 5),
    inference_stats: one('InferStatistics', 6),
  }),
  InferStatistics: message({ success: one('StatisticDuration', 1), fail: one('StatisticDuration', 2) }),
  StatisticDuration: message({ count: one('uint64', 1), ns: one('uint64', 2) }),
  RepositoryIndexRequest: message({ repository_name: one('string', 1), ready: one('bool', 2) }),
  RepositoryIndexResponse: message({ models: many('ModelIndex', 1) }),
  ModelIndex: message({
    name: one('string', 1),
    version: one('string', 2),
    state: one('string', 3),
    reason: one('string', 4),
  }),
  RepositoryModelLoadRequest: message({ repository_name: one('string', 1), model_name: one('string', 2) }),
  RepositoryModelLoadResponse: message({}),
  RepositoryModelUnloadRequest: message({ repository_name: one('string', 1), model_name: one('string', 2) }),
  RepositoryModelUnloadResponse: message({}),
};

/** Name, element type and shape of a tensor; its bytes travel beside it, in `raw_*_contents` at the same index. */
export interface TensorHeader {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** Requests and answers of the methods used, as they come out of the decoder. */
export interface Methods {
  ServerReady: { request: object; response: { ready: boolean } };
  ModelReady: { request: { name: string }; response: { ready: boolean } };
  ModelMetadata: {
    request: { name: string };
    response: { versions: string[]; platform: string; inputs: TensorHeader[]; outputs: TensorHeader[] };
  };
  ModelInfer: {
    request: { model_name: string; id?: string; inputs: TensorHeader[]; raw_input_contents: Buffer[] };
    response: { outputs: TensorHeader[]; raw_output_contents: Buffer[] };
  };
  ModelConfig: { request: { name: string }; response: { config: ModelConfig | null } };
  ModelStatistics: { request: { name: string }; response: { model_stats: ModelStatistics[] } };
  RepositoryIndex: { request: object; response: { models: ModelIndex[] } };
  RepositoryModelLoad: { request: { model_name: string }; response: object };
  RepositoryModelUnload: { request: { model_name: string }; response: object };
}

export interface ModelConfig {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  readonly max_batch_size: number;
  readonly default_model_filename: string;
  readonly parameters: Readonly<Record<string, { readonly string_value: string }>>;
}

/** A model in the repository. `state` is READY, LOADING, UNLOADING, UNAVAILABLE, or empty when it was never loaded. */
export interface ModelIndex {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

/** Counts since the model was loaded. `inference_count` counts batch elements, `execution_count` batches, `success` requests. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: { readonly success: Count | null; readonly fail: Count | null } | null;
}

interface Count {
  readonly count: number;
  readonly ns: number;
}

/** The service, ready for `makeGenericClientConstructor`. */
export const inferenceService = fromJSON(
  { nested: { inference: { nested: PROTOCOL } } },
  // `defaults`: absent means zero in proto3. `longs: Number`: shapes and counts stay below 2^53.
  { keepCase: true, longs: Number, enums: String, defaults: true },
)['inference.GRPCInferenceService'] as ServiceDefinition;
