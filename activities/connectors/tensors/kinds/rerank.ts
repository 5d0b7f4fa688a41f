import type { JsonObject } from '../../../../pipelines/json.js';
import type { Call, Reply } from '../../connector.js';
import { oneByOne, pairsIn } from '../../pairs.js';
import { ranked } from '../../scores.js';
import { activated } from '../activation.js';
import { wrongOutput } from '../encode.js';
import { answer, sourcesOf, type TensorContext, type TensorKind } from '../kind.js';
import { needed, numbers, wholeOutput } from '../read.js';
import { rowsOf } from '../rows.js';

/**
 * Passages ranked by relevance to a query, best first, equal scores in the given order; the first `with.top` of them.
 * All are scored in one request; without passages none is sent. The pairs of a call that has several go in one request too,
 * a row each, where the model's tensors have room for that.
 */
export const rerank: TensorKind = {
  async invoke(call, context) {
    const pairs = pairsIn(call);
    if (!pairs) return one(call, context);
    const map = rowsOf(context.map, ['query', 'passages']);
    if (!map) return oneByOne(call, pairs, (each) => one(each, context));
    const sources = {
      query: pairs.map(({ query }) => String(query)),
      passages: pairs.map(({ text }) => String(text)),
    };
    const { outputs } = await answer(call, { ...context, map }, sources);
    const [bound, tensor] = needed(map, 'scores', outputs);
    const scores = activated(numbers(bound, tensor), bound.activation, 1);
    if (scores.length !== pairs.length)
      throw wrongOutput(bound.name, `${scores.length} scores of ${pairs.length} pairs`);
    return { output: { scores: [...scores] } };
  },
  example: { query: 'ok', passages: ['ok'] },
};

async function one(call: Call, context: TensorContext): Promise<Reply> {
  const passages = call.input.passages as readonly (JsonObject & { readonly text: string })[];
  if (passages.length === 0) return { output: { passages: [] } };
  const sources = { ...(await sourcesOf(call, context)), passages: passages.map(({ text }) => text) };
  const { outputs } = await answer(call, context, sources);
  const whole = wholeOutput(context.map, outputs);
  if (whole) return { output: whole };
  const [bound, tensor] = needed(context.map, 'scores', outputs);
  const scores = activated(numbers(bound, tensor), bound.activation, 1);
  return { output: ranked([...scores], passages, { top: call.with.top as number | undefined, name: bound.name }) };
}
