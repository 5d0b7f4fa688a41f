import type { JsonObject } from '../../../../pipelines/json.js';
import { ranked } from '../../scores.js';
import { activated } from '../activation.js';
import { answer, sourcesOf, type TensorKind } from '../kind.js';
import { needed, numbers, wholeOutput } from '../read.js';

/**
 * Passages ranked by relevance to a query, best first, equal scores in the given order; the first `with.top` of them.
 * All are scored in one request; without passages none is sent.
 */
export const rerank: TensorKind = {
  async invoke(call, context) {
    const passages = call.input.passages as readonly (JsonObject & { readonly text: string })[];
    if (passages.length === 0) return { output: { passages: [] } };
    const sources = { ...(await sourcesOf(call, context)), passages: passages.map(({ text }) => text) };
    const { outputs } = await answer(call, context, sources);
    const whole = wholeOutput(context.map, outputs);
    if (whole) return { output: whole };
    const [bound, tensor] = needed(context.map, 'scores', outputs);
    const scores = activated(numbers(bound, tensor), bound.activation, 1);
    return { output: ranked([...scores], passages, { top: call.with.top as number | undefined, name: bound.name }) };
  },
  example: { query: 'ok', passages: ['ok'] },
};
