import type { Parameters, Tensor, TensorHeader } from '../../../protocols/open-inference/index.js';

/** The outputs of one response by name. */
export type Outputs = ReadonlyMap<string, Tensor>;

export interface RequestOptions {
  /** The requested outputs. Absent: all. */
  readonly outputs?: readonly string[];
  /** Request parameters of the protocol, e.g. `sequence_id`. */
  readonly parameters?: Parameters;
  /** Trace of the call (W3C Trace Context). */
  readonly traceparent?: string;
}

/** A tensor of a model by its metadata. -1 for a dimension that varies; the batch comes first if there is one. */
export interface DescribedTensor extends TensorHeader {
  /** A request may leave the input out. */
  readonly optional?: boolean;
}

/** A model's tensors as its server describes them; empty lists if it does not. */
export interface ModelTensors {
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
  /** A request may have several responses. Absent: no. */
  readonly decoupled?: boolean;
}

/** A client of a server of the KServe v2 protocol, in any of its transports. */
export interface TensorClient {
  /**
   * Runs a model and yields its responses as they arrive: one, unless the model is decoupled. Leaving the loop early
   * cancels the rest.
   */
  responses(
    model: string,
    inputs: readonly Tensor[],
    signal: AbortSignal,
    options?: RequestOptions,
  ): AsyncIterable<Outputs>;
  /** Queried once, and again after a failure, because the model may have been replaced. */
  tensors(model: string, signal: AbortSignal): Promise<ModelTensors>;
}
