import { checkTensors } from '../tensor-format.js';
import { unitVector } from '../unit-vector.js';
import { type KindHandler, probeWith, ROW, texts } from './kind-handler.js';

/**
 * Embedding of one text, with the tensors of the gRPC connector.
 *
 *     TEXT       BYTES  [1, 1]           UTF-8
 *     EMBEDDING  FP32   [1, dimensions]
 */
export const embed: KindHandler = {
  async invoke({ model, input }, client, { signal }) {
    const inputs = { TEXT: texts(input.text as string) };
    const outputs = await client.infer(model, { inputs, outputs: ['EMBEDDING'] }, signal);
    const { EMBEDDING } = checkTensors(outputs, { EMBEDDING: ROW }, 'INVALID_OUTPUT');
    return { output: { embedding: unitVector((EMBEDDING?.data ?? []) as readonly number[]) } };
  },
  probe: probeWith({ TEXT: texts('ok') }),
};
