import type { Dtype } from '../../pipelines/media.js';

/*
 * The messages of `protocol.ts` as decoded. 64-bit integers are decimal strings: `Int64`. An absent message is null;
 * other absent fields are zero, empty or false, as in proto3.
 */

/** A 64-bit integer: a decimal string when decoded; a number is accepted when encoding. */
export type Int64 = string | number;

/** Name, element type and shape of a tensor. */
export interface TensorHeader {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** A tensor in a message. Its data are in `raw_*_contents` at the same index, or in `contents`. */
export interface TensorMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly Int64[];
  readonly contents?: TypedContents | null;
}

/** The protocol's other form of data: one field for several types (`CONTENTS_OF`). */
export interface TypedContents {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly string[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly string[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Buffer[];
}

/** The field with the elements of each type. FP16 and BF16 have none: they are sent as raw bytes only. */
export const CONTENTS_OF: Readonly<Partial<Record<Dtype, keyof TypedContents>>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

/** A parameter of a request or response: exactly one field is set when encoding. */
export type Parameter =
  | { readonly bool_param: boolean }
  | { readonly int64_param: Int64 }
  | { readonly string_param: string }
  | { readonly double_param: number }
  | { readonly uint64_param: Int64 };
export type Parameters = Readonly<Record<string, Parameter>>;

export interface InferRequest {
  readonly model_name: string;
  /** Empty: the server chooses. */
  readonly model_version?: string;
  readonly parameters?: Parameters;
  readonly inputs: readonly (TensorHeader & { readonly parameters?: Parameters })[];
  /** Empty: all. */
  readonly outputs?: readonly { readonly name: string; readonly parameters?: Parameters }[];
  readonly raw_input_contents: readonly Buffer[];
}
/** An `InferRequest` as decoded by a server: data are in either `raw_input_contents` or `contents`. */
export interface ReceivedInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ReceivedParameters;
  readonly inputs: readonly (TensorMessage & { readonly parameters: ReceivedParameters })[];
  readonly outputs: readonly { readonly name: string; readonly parameters: ReceivedParameters }[];
  readonly raw_input_contents: readonly Buffer[];
}
/** Decoded parameters: one field each, or none if the client set none. */
export type ReceivedParameters = Readonly<Record<string, Partial<Record<ParameterField, string | number | boolean>>>>;
type ParameterField = 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';

export interface InferResponse {
  readonly parameters: Readonly<Record<string, Partial<Record<'bool_param', boolean>>>>;
  readonly outputs: readonly TensorMessage[];
  readonly raw_output_contents: readonly Buffer[];
}
/** A message of a response stream: an error text or a response. */
export interface StreamResponse {
  readonly error_message: string;
  readonly infer_response: InferResponse | null;
}

/** Requests and responses of the unary methods. */
export interface Methods {
  ModelMetadata: {
    request: { name: string; version?: string };
    response: { versions: string[]; platform: string; inputs: TensorMessage[]; outputs: TensorMessage[] };
  };
  ModelReady: { request: { name: string; version?: string }; response: { ready: boolean } };
  ServerMetadata: { request: object; response: { name: string; version: string } };
  ModelInfer: { request: InferRequest; response: InferResponse };
  ModelConfig: { request: { name: string; version?: string }; response: { config: ModelConfig | null } };
  ModelStatistics: { request: { name: string; version?: string }; response: { model_stats: StatisticsMessage[] } };
  RepositoryIndex: { request: object; response: { models: ModelIndex[] } };
  RepositoryModelLoad: {
    request: {
      model_name: string;
      parameters?: Readonly<Record<string, { readonly string_param: string } | { readonly bytes_param: Buffer }>>;
    };
    response: object;
  };
  RepositoryModelUnload: { request: { model_name: string }; response: object };
  SystemSharedMemoryRegister: { request: { name: string; key: string; byte_size: Int64 }; response: object };
  SystemSharedMemoryUnregister: { request: { name: string }; response: object };
}

export interface ModelConfig {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  readonly max_batch_size: number;
  readonly input?: readonly { readonly name: string; readonly optional: boolean }[];
  readonly output?: readonly object[];
  readonly instance_group?: readonly { readonly count: number }[];
  readonly default_model_filename: string;
  /** Null unless dynamic batching is enabled. */
  readonly dynamic_batching?: {
    readonly preferred_batch_size: readonly number[];
    readonly max_queue_delay_microseconds: Int64;
    readonly priority_levels?: Int64;
  } | null;
  /** Null unless requests of one sequence go to one instance of the model. */
  readonly sequence_batching: object | null;
  readonly parameters: Readonly<Record<string, { readonly string_value: string }>>;
  /** The models of an ensemble, in their order. */
  readonly ensemble_scheduling?: { readonly step: readonly { readonly model_name: string }[] } | null;
  /** `decoupled`: a request has any number of responses, and `ModelInfer` is rejected. */
  readonly model_transaction_policy: { readonly decoupled: boolean } | null;
}

/** A model in the repository. `state` is READY, LOADING, UNLOADING, UNAVAILABLE, or empty when it was never loaded. */
export interface ModelIndex {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

/**
 * Counts since the model was loaded: `inference_count` of batch elements, `execution_count` of batches, the others of
 * requests.
 */
export interface StatisticsMessage {
  readonly name: string;
  readonly version: string;
  readonly inference_count: Int64;
  readonly execution_count: Int64;
  readonly inference_stats: Readonly<Record<'success' | 'fail' | Duration, Count | null>> | null;
  /** By batch size; counts are of batches. */
  readonly batch_stats?: readonly ({ readonly batch_size: Int64 } & Readonly<Record<Compute, Count | null>>)[];
}

type Compute = 'compute_input' | 'compute_infer' | 'compute_output';
type Duration = 'queue' | Compute;

/** A count of events and their total duration in nanoseconds. */
interface Count {
  readonly count: Int64;
  readonly ns: Int64;
}
