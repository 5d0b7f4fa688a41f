import type { Call, CallContext, Reply } from '../connector.js';
import type { TritonClient } from './client.js';

/** How a stage kind without a tensor map calls a Triton model. */
export interface KindHandler {
  invoke(call: Call, context: CallContext & { readonly client: TritonClient }): Promise<Reply>;
  /** The smallest call that runs the model. */
  probe(model: string, client: TritonClient, signal: AbortSignal): Promise<void>;
}
