import type { JsonObject } from '../../../pipelines/json.js';
import { ranked } from '../scores.js';
import { checkTensors } from '../tensor-format.js';
import { type KindHandler, probeWith, ROW, texts } from './kind-handler.js';

/**
 * Passages ranked by relevance to a query, best first; the first `with.top` of them. All are scored in one call;
 * without passages no call is made.
 *
 *     QUERY     BYTES  [1, 1]         UTF-8
 *     PASSAGES  BYTES  [1, passages]  UTF-8
 *     SCORES    FP32   [1, passages]  higher is better, of any scale
 */
export const rerank: KindHandler = {
  async invoke({ model, with: options, input }, client, { signal }) {
    const passages = input.passages as readonly (JsonObject & { readonly text: string })[];
    if (passages.length === 0) return { output: { passages: [] } };
    const inputs = { QUERY: texts(input.query as string), PASSAGES: texts(...passages.map(({ text }) => text)) };
    const outputs = await client.infer(model, { inputs, outputs: ['SCORES'] }, signal);
    const { SCORES } = checkTensors(outputs, { SCORES: ROW }, 'INVALID_OUTPUT');
    return { output: ranked((SCORES?.data ?? []) as readonly number[], passages, options.top as number | undefined) };
  },
  probe: probeWith({ QUERY: texts('ok'), PASSAGES: texts('ok') }),
};
