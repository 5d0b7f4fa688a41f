import type { Tensor } from '../../../protocols/open-inference/index.js';
import type { Call, CallContext, Reply } from '../connector.js';
import type { TritonClient } from './client.js';

/** How one stage kind is spoken to a Triton model: which tensors go in, which come out. */
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
