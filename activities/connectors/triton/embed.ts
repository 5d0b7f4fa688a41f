import { readFp32, textTensor } from '../../../protocols/open-inference/index.js';
import { unitVector } from '../unit-vector.js';
import { type KindHandler, probeWith } from './kind-handler.js';
import { outputOf } from './outputs.js';

/**
 * Embedding of one text; Triton's dynamic batching joins those that arrive together.
 *
 *     TEXT       BYTES  [1, 1]           UTF-8
 *     EMBEDDING  FP32   [1, dimensions]
 */
export const embed: KindHandler = {
  async invoke({ model, input }, { client, signal }) {
    const outputs = await client.infer(model, [textTensor('TEXT', [1, 1], input.text as string)], signal);
    return { output: { embedding: unitVector(readFp32(outputOf(outputs, 'EMBEDDING'))) } };
  },
  probe: probeWith(() => [textTensor('TEXT', [1, 1], 'ok')]),
};
