import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { readFp32, textTensor } from '../../../protocols/open-inference/index.js';
import { type KindHandler, probeWith } from './kind-handler.js';
import { outputOf } from './outputs.js';

/**
 * Passages ranked by relevance to a query, best first, equal scores in the given order; the first `with.top` of them.
 * All are scored in one call, so a score may depend on the other passages; without passages no call is made.
 *
 *     QUERY     BYTES  [1, 1]         UTF-8
 *     PASSAGES  BYTES  [1, passages]  UTF-8
 *     SCORES    FP32   [1, passages]  higher is better, of any scale
 */
export const rerank: KindHandler = {
  async invoke({ model, with: options, input }, { client, signal }) {
    const passages = input.passages as readonly (JsonObject & { readonly text: string })[];
    if (passages.length === 0) return { output: { passages: [] } };
    const outputs = await client.infer(
      model,
      inputsOf(
        input.query as string,
        passages.map(({ text }) => text),
      ),
      signal,
    );
    const scores = readFp32(outputOf(outputs, 'SCORES'));
    if (scores.length !== passages.length) {
      throw new MillraceError(
        'INVALID_OUTPUT',
        `output tensor SCORES: ${scores.length} scores for ${passages.length} passages`,
      );
    }
    const ranked = passages
      .map((passage, i) => ({ ...passage, score: scores[i] ?? 0 }))
      .sort((a, b) => b.score - a.score);
    return { output: { passages: ranked.slice(0, (options.top as number | undefined) ?? ranked.length) } };
  },
  probe: probeWith(() => inputsOf('ok', ['ok'])),
};

const inputsOf = (query: string, passages: readonly string[]) => [
  textTensor('QUERY', [1, 1], query),
  textTensor('PASSAGES', [1, passages.length], ...passages),
];
