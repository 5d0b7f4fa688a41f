import type { Tensor } from '../../../protocols/open-inference/index.js';
import type { Call, CallContext, Reply } from '../connector.js';
import type { TritonClient } from './client.js';

/** How one stage kind calls a Triton model: its input and output tensors. */
export interface KindHandler {
  invoke(call: Call, context: CallContext & { readonly client: TritonClient }): Promise<Reply>;
  /** The smallest call that runs the model. */
  probe(model: string, client: TritonClient, signal: AbortSignal): Promise<void>;
}

/** A probe with these inputs. */
export const probeWith =
  (inputs: () => readonly Tensor[]): KindHandler['probe'] =>
  async (model, client, signal) => {
    await client.infer(model, inputs(), signal);
  };
