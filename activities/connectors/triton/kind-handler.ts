import type { Artifact } from '../../../pipelines/artifact.js';
import type { Parameters, Tensor } from '../../../protocols/open-inference/index.js';
import type { Call, CallContext, Reply } from '../connector.js';
import type { TritonClient } from './client.js';

/** What a stage kind without a tensor map needs to call a Triton model. */
export interface KindContext extends CallContext {
  readonly client: TritonClient;
  /** An image as the tensor of this name, as the pool's tensor map says. */
  readonly imageAs: (name: string, image: Artifact) => Promise<Tensor>;
  /** Parameters that the policy gives to every request. */
  readonly requests: Parameters;
  /** Most bytes of files in an answer. */
  readonly mostBytes: number;
}

/** How a stage kind without a tensor map calls a Triton model. */
export interface KindHandler {
  invoke(call: Call, context: KindContext): Promise<Reply>;
  /** The smallest call that runs the model. */
  probe(model: string, client: TritonClient, signal: AbortSignal): Promise<void>;
}
