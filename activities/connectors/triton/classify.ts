import { MillraceError } from '../../../pipelines/errors.js';
import { readFp32, textTensor } from '../../../protocols/open-inference/index.js';
import { type KindHandler, probeWith } from './kind-handler.js';
import { outputOf } from './outputs.js';

/**
 * Classification of one text. The model's scores come in the order of `with.labels`; the label is the one with the
 * highest score, the first of equals.
 *
 *     TEXT    BYTES  [1, 1]       UTF-8
 *     SCORES  FP32   [1, labels]  usually probabilities, which is not required
 */
export const classify: KindHandler = {
  async invoke({ model, with: options, input }, { client, signal }) {
    const labels = options.labels as readonly string[];
    const outputs = await client.infer(model, [textTensor('TEXT', [1, 1], input.text as string)], signal);
    const scores = readFp32(outputOf(outputs, 'SCORES'));
    const [first] = labels;
    if (scores.length !== labels.length || first === undefined) {
      throw new MillraceError(
        'INVALID_OUTPUT',
        `output tensor SCORES: ${scores.length} scores for ${labels.length} labels (${labels.join(', ')})`,
      );
    }
    const scored = labels.map((label, i) => ({ label, score: scores[i] ?? 0 }));
    const best = scored.reduce((a, b) => (b.score > a.score ? b : a));
    return {
      output: { ...best, scores: Object.fromEntries(scored.map(({ label, score }) => [label, score])) },
    };
  },
  probe: probeWith(() => [textTensor('TEXT', [1, 1], 'ok')]),
};
