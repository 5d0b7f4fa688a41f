import type { Tensor } from '../../../pipelines/media.js';
import type { Call, CallContext, Reply } from '../connector.js';
import type { NamedTensors } from '../tensor-format.js';
import type { OipRestClient } from './client.js';

/** How one stage kind calls a model: its input and output tensors. */
export interface KindHandler {
  invoke(call: Call, client: OipRestClient, context: Pick<CallContext, 'signal'>): Promise<Reply>;
  /** The smallest call that runs the model. */
  probe(model: string, client: OipRestClient, signal: AbortSignal): Promise<void>;
}

/** A probe with these inputs. */
export const probeWith =
  (inputs: NamedTensors): KindHandler['probe'] =>
  async (model, client, signal) => {
    await client.infer(model, { inputs }, signal);
  };

/** A BYTES tensor of one row of texts. */
export const texts = (...data: string[]): Tensor => ({ dtype: 'BYTES', shape: [1, data.length], data });

/** The format of an FP32 output of one row. */
export const ROW = { dtype: 'FP32', shape: [1, -1] } as const;
