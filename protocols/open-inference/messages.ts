import type { Dtype } from '../../pipelines/media.js';

/*
 * The messages of `protocol.ts` as they come out of the decoder. Numbers of 64 bits are decimal texts there: `Int64`.
 * A message that is absent is null, everything else that is absent is zero, empty or false, as proto3 has it.
 */

/** A 64-bit integer: a decimal text when decoded; a number will do when encoded. */
export type Int64 = string | number;

/** Name, element type and shape of a tensor. */
export interface TensorHeader {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** A tensor in a message; its bytes are in `raw_*_contents` at the same index, or its elements in `contents`. */
export interface TensorMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly Int64[];
  readonly contents?: TypedContents | null;
}

/** Elements in the protocol's other form, one field for several types (`CONTENTS_OF`). */
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

/** Which field holds the elements of a type. FP16 has none: it travels as bytes only. */
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

/** A request's or response's parameter: exactly one field when encoded. */
export type Parameter =
  | { readonly bool_param: boolean }
  | { readonly int64_param: Int64 }
  | { readonly string_param: string }
  | { readonly double_param: number }
  | { readonly uint64_param: Int64 };
export type Parameters = Readonly<Record<string, Parameter>>;

export interface InferRequest {
  readonly model_name: string;
  readonly parameters?: Parameters;
  readonly inputs: readonly TensorHeader[];
  /** Empty: all. */
  readonly outputs?: readonly { readonly name: string }[];
  readonly raw_input_contents: readonly Buffer[];
}
/** An `InferRequest` as a server decodes it: of tensors' bytes and contents one is there. */
export interface ReceivedInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ReceivedParameters;
  readonly inputs: readonly (TensorMessage & { readonly parameters: ReceivedParameters })[];
  readonly outputs: readonly { readonly name: string; readonly parameters: ReceivedParameters }[];
  readonly raw_input_contents: readonly Buffer[];
}
/** Parameters as they are decoded: one field each, or none from a client that set none. */
export type ReceivedParameters = Readonly<Record<string, Partial<Record<ParameterField, string | number | boolean>>>>;
type ParameterField = 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';

export interface InferResponse {
  readonly parameters: Readonly<Record<string, Partial<Record<'bool_param', boolean>>>>;
  readonly outputs: readonly TensorMessage[];
  readonly raw_output_contents: readonly Buffer[];
}
/** One response of a stream: either an error's text or a response. */
export interface StreamResponse {
  readonly error_message: string;
  readonly infer_response: InferResponse | null;
}

/** Requests and answers of the methods with one answer. */
export interface Methods {
  ModelMetadata: {
    request: { name: string };
    response: { versions: string[]; platform: string; inputs: TensorMessage[]; outputs: TensorMessage[] };
  };
  ModelReady: { request: { name: string }; response: { ready: boolean } };
  ServerMetadata: { request: object; response: { name: string; version: string } };
  ModelInfer: { request: InferRequest; response: InferResponse };
  ModelConfig: { request: { name: string }; response: { config: ModelConfig | null } };
  ModelStatistics: { request: { name: string }; response: { model_stats: StatisticsMessage[] } };
  RepositoryIndex: { request: object; response: { models: ModelIndex[] } };
  RepositoryModelLoad: {
    request: {
      model_name: string;
      parameters?: Readonly<Record<string, { readonly string_param: string } | { readonly bytes_param: Buffer }>>;
    };
    response: object;
  };
  RepositoryModelUnload: { request: { model_name: string }; response: object };
}

export interface ModelConfig {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  readonly max_batch_size: number;
  readonly input?: readonly object[];
  readonly output?: readonly object[];
  readonly instance_group?: readonly { readonly count: number }[];
  readonly default_model_filename: string;
  /** Null unless requests that wait are batched. */
  readonly dynamic_batching?: {
    readonly preferred_batch_size: readonly number[];
    readonly max_queue_delay_microseconds: Int64;
  } | null;
  /** Null unless requests of one sequence belong to one instance of the model. */
  readonly sequence_batching: object | null;
  readonly parameters: Readonly<Record<string, { readonly string_value: string }>>;
  /** `decoupled`: a request has any number of responses, and `ModelInfer` is refused. */
  readonly model_transaction_policy: { readonly decoupled: boolean } | null;
}

/** A model in the repository. `state` is READY, LOADING, UNLOADING, UNAVAILABLE, or empty when it was never loaded. */
export interface ModelIndex {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

/** Counts since the model was loaded. `inference_count` counts batch elements, `execution_count` batches, the others requests. */
export interface StatisticsMessage {
  readonly name: string;
  readonly version: string;
  readonly inference_count: Int64;
  readonly execution_count: Int64;
  readonly inference_stats: Readonly<Record<'success' | 'fail' | Duration, Count | null>> | null;
  /** For each size of batch that there was; a count is one of batches. */
  readonly batch_stats?: readonly ({ readonly batch_size: Int64 } & Readonly<Record<Compute, Count | null>>)[];
}

type Compute = 'compute_input' | 'compute_infer' | 'compute_output';
type Duration = 'queue' | Compute;

/** How often something has happened, and the nanoseconds that it took in all. */
interface Count {
  readonly count: Int64;
  readonly ns: Int64;
}
