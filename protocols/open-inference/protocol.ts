import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

/*
 * The subset of Triton's gRPC protocol that Millrace uses: the KServe v2 inference protocol ("Open Inference Protocol",
 * https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto) with Triton's
 * model repository, configuration and statistics extensions (https://github.com/triton-inference-server/common,
 * protobuf/grpc_service.proto and model_config.proto; docs/protocol/ in the server's repository). Field numbers were
 * taken from the descriptors of tritonclient 2.73.0. Unused fields are left out; protobuf skips them.
 *
 * It is protobuf's JSON descriptor form instead of .proto text, so that no .proto parser and no extra file are needed.
 */

const one = (type: string, id: number) => ({ type, id });
const many = (type: string, id: number) => ({ rule: 'repeated', type, id });
const map = (type: string, id: number) => ({ keyType: 'string', type, id });
const message = (fields: Record<string, ReturnType<typeof one | typeof many | typeof map>>) => ({ fields });
const enumeration = (values: Record<string, number>) => ({ values });
const unary = (request: string, response: string) => ({ requestType: request, responseType: response, comment: '' });
const stream = (request: string, response: string) => ({
  ...unary(request, response),
  requestStream: true,
  responseStream: true,
});

const PROTOCOL = {
  GRPCInferenceService: {
    methods: {
      ServerLive: unary('ServerLiveRequest', 'ServerLiveResponse'),
      ServerReady: unary('ServerReadyRequest', 'ServerReadyResponse'),
      ServerMetadata: unary('ServerMetadataRequest', 'ServerMetadataResponse'),
      ModelReady: unary('ModelReadyRequest', 'ModelReadyResponse'),
      ModelMetadata: unary('ModelMetadataRequest', 'ModelMetadataResponse'),
      ModelInfer: unary('ModelInferRequest', 'ModelInferResponse'),
      ModelStreamInfer: stream('ModelInferRequest', 'ModelStreamInferResponse'),
      ModelConfig: unary('ModelConfigRequest', 'ModelConfigResponse'),
      ModelStatistics: unary('ModelStatisticsRequest', 'ModelStatisticsResponse'),
      RepositoryIndex: unary('RepositoryIndexRequest', 'RepositoryIndexResponse'),
      RepositoryModelLoad: unary('RepositoryModelLoadRequest', 'RepositoryModelLoadResponse'),
      RepositoryModelUnload: unary('RepositoryModelUnloadRequest', 'RepositoryModelUnloadResponse'),
      SystemSharedMemoryRegister: unary('SystemSharedMemoryRegisterRequest', 'SystemSharedMemoryRegisterResponse'),
      SystemSharedMemoryUnregister: unary(
        'SystemSharedMemoryUnregisterRequest',
        'SystemSharedMemoryUnregisterResponse',
      ),
    },
  },
  ServerLiveRequest: message({}),
  ServerLiveResponse: message({ live: one('bool', 1) }),
  ServerReadyRequest: message({}),
  ServerReadyResponse: message({ ready: one('bool', 1) }),
  ServerMetadataRequest: message({}),
  ServerMetadataResponse: message({ name: one('string', 1), version: one('string', 2), extensions: many('string', 3) }),
  ModelReadyRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelReadyResponse: message({ ready: one('bool', 1) }),
  ModelMetadataRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelMetadataResponse: message({
    name: one('string', 1),
    versions: many('string', 2),
    platform: one('string', 3),
    inputs: many('TensorMetadata', 4),
    outputs: many('TensorMetadata', 5),
  }),
  TensorMetadata: message({ name: one('string', 1), datatype: one('string', 2), shape: many('int64', 3) }),
  /** `ModelInferRequest.InferInputTensor` and `ModelInferResponse.InferOutputTensor`. */
  Tensor: message({
    name: one('string', 1),
    datatype: one('string', 2),
    shape: many('int64', 3),
    parameters: map('InferParameter', 4),
    contents: one('InferTensorContents', 5),
  }),
  InferTensorContents: message({
    bool_contents: many('bool', 1),
    int_contents: many('int32', 2),
    int64_contents: many('int64', 3),
    uint_contents: many('uint32', 4),
    uint64_contents: many('uint64', 5),
    fp32_contents: many('float', 6),
    fp64_contents: many('double', 7),
    bytes_contents: many('bytes', 8),
  }),
  InferParameter: {
    oneofs: { choice: { oneof: ['bool_param', 'int64_param', 'string_param', 'double_param', 'uint64_param'] } },
    ...message({
      bool_param: one('bool', 1),
      int64_param: one('int64', 2),
      string_param: one('string', 3),
      double_param: one('double', 4),
      uint64_param: one('uint64', 5),
    }),
  },
  /** `ModelInferRequest.InferRequestedOutputTensor`. */
  RequestedOutput: message({ name: one('string', 1), parameters: map('InferParameter', 2) }),
  ModelInferRequest: message({
    model_name: one('string', 1),
    model_version: one('string', 2),
    id: one('string', 3),
    parameters: map('InferParameter', 4),
    inputs: many('Tensor', 5),
    outputs: many('RequestedOutput', 6),
    raw_input_contents: many('bytes', 7),
  }),
  ModelInferResponse: message({
    model_name: one('string', 1),
    model_version: one('string', 2),
    id: one('string', 3),
    parameters: map('InferParameter', 4),
    outputs: many('Tensor', 5),
    raw_output_contents: many('bytes', 6),
  }),
  ModelStreamInferResponse: message({
    error_message: one('string', 1),
    infer_response: one('ModelInferResponse', 2),
  }),
  ModelConfigRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelConfigResponse: message({ config: one('ModelConfig', 1) }),
  ModelConfig: message({
    name: one('string', 1),
    platform: one('string', 2),
    max_batch_size: one('int32', 4),
    input: many('ModelInput', 5),
    output: many('ModelOutput', 6),
    instance_group: many('ModelInstanceGroup', 7),
    default_model_filename: one('string', 8),
    dynamic_batching: one('ModelDynamicBatching', 11),
    sequence_batching: one('Empty', 13),
    parameters: map('ModelParameter', 14),
    ensemble_scheduling: one('ModelEnsembling', 15),
    backend: one('string', 17),
    model_transaction_policy: one('ModelTransactionPolicy', 19),
  }),
  ModelEnsembling: message({ step: many('EnsembleStep', 1) }),
  /** `ModelEnsembling.Step`. */
  EnsembleStep: message({ model_name: one('string', 1) }),
  ModelInstanceGroup: message({ name: one('string', 1), count: one('int32', 2) }),
  ModelDynamicBatching: message({
    preferred_batch_size: many('int32', 1),
    max_queue_delay_microseconds: one('uint64', 2),
    priority_levels: one('uint64', 4),
  }),
  ModelInput: message({
    name: one('string', 1),
    data_type: one('DataType', 2),
    dims: many('int64', 4),
    optional: one('bool', 8),
  }),
  ModelOutput: message({ name: one('string', 1), data_type: one('DataType', 2), dims: many('int64', 3) }),
  DataType: enumeration({
    TYPE_INVALID: 0,
    TYPE_BOOL: 1,
    TYPE_UINT8: 2,
    TYPE_UINT16: 3,
    TYPE_UINT32: 4,
    TYPE_UINT64: 5,
    TYPE_INT8: 6,
    TYPE_INT16: 7,
    TYPE_INT32: 8,
    TYPE_INT64: 9,
    TYPE_FP16: 10,
    TYPE_FP32: 11,
    TYPE_FP64: 12,
    TYPE_STRING: 13,
    TYPE_BF16: 14,
  }),
  ModelTransactionPolicy: message({ decoupled: one('bool', 1) }),
  /** A message of which only the presence matters. */
  Empty: message({}),
  ModelParameter: message({ string_value: one('string', 1) }),
  ModelStatisticsRequest: message({ name: one('string', 1), version: one('string', 2) }),
  ModelStatisticsResponse: message({ model_stats: many('ModelStatistics', 1) }),
  ModelStatistics: message({
    name: one('string', 1),
    version: one('string', 2),
    last_inference: one('uint64', 3),
    inference_count: one('uint64', 4),
    execution_count: one('uint64', 5),
    inference_stats: one('InferStatistics', 6),
    batch_stats: many('InferBatchStatistics', 7),
  }),
  InferBatchStatistics: message({
    batch_size: one('uint64', 1),
    compute_input: one('StatisticDuration', 2),
    compute_infer: one('StatisticDuration', 3),
    compute_output: one('StatisticDuration', 4),
  }),
  InferStatistics: message({
    success: one('StatisticDuration', 1),
    fail: one('StatisticDuration', 2),
    queue: one('StatisticDuration', 3),
    compute_input: one('StatisticDuration', 4),
    compute_infer: one('StatisticDuration', 5),
    compute_output: one('StatisticDuration', 6),
  }),
  StatisticDuration: message({ count: one('uint64', 1), ns: one('uint64', 2) }),
  RepositoryIndexRequest: message({ repository_name: one('string', 1), ready: one('bool', 2) }),
  RepositoryIndexResponse: message({ models: many('ModelIndex', 1) }),
  ModelIndex: message({
    name: one('string', 1),
    version: one('string', 2),
    state: one('string', 3),
    reason: one('string', 4),
  }),
  RepositoryModelLoadRequest: message({
    repository_name: one('string', 1),
    model_name: one('string', 2),
    parameters: map('ModelRepositoryParameter', 3),
  }),
  ModelRepositoryParameter: {
    oneofs: { choice: { oneof: ['string_param', 'bytes_param'] } },
    ...message({ string_param: one('string', 3), bytes_param: one('bytes', 4) }),
  },
  RepositoryModelLoadResponse: message({}),
  RepositoryModelUnloadRequest: message({ repository_name: one('string', 1), model_name: one('string', 2) }),
  RepositoryModelUnloadResponse: message({}),
  SystemSharedMemoryRegisterRequest: message({
    name: one('string', 1),
    key: one('string', 2),
    offset: one('uint64', 3),
    byte_size: one('uint64', 4),
  }),
  SystemSharedMemoryRegisterResponse: message({}),
  SystemSharedMemoryUnregisterRequest: message({ name: one('string', 1) }),
  SystemSharedMemoryUnregisterResponse: message({}),
};

/** The service, ready for `makeGenericClientConstructor` and a server's `addService`. */
export const inferenceService = fromJSON(
  { nested: { inference: { nested: PROTOCOL } } },
  // `defaults`: absent means zero in proto3. `longs: String`: elements and parameters may exceed 2^53.
  { keepCase: true, longs: String, enums: String, defaults: true, oneofs: false },
)['inference.GRPCInferenceService'] as ServiceDefinition;
