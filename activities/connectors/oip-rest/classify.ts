import { labelled } from '../scores.js';
import { checkTensors } from '../tensor-format.js';
import { type KindHandler, probeWith, ROW, texts } from './kind-handler.js';

/**
 * Classification of one text. The model's scores come in the order of `with.labels`.
 *
 *     TEXT    BYTES  [1, 1]       UTF-8
 *     SCORES  FP32   [1, labels]
 */
export const classify: KindHandler = {
  async invoke({ model, with: options, input }, client, { signal }) {
    const inputs = { TEXT: texts(input.text as string) };
    const outputs = await client.infer(model, { inputs, outputs: ['SCORES'] }, signal);
    const { SCORES } = checkTensors(outputs, { SCORES: ROW }, 'INVALID_OUTPUT');
    return { output: labelled((SCORES?.data ?? []) as readonly number[], options.labels as readonly string[]) };
  },
  probe: probeWith({ TEXT: texts('ok') }),
};
