import type { JsonObject } from '../../../../pipelines/json.js';
import type { Call, Reply } from '../../connector.js';
import { ranked } from '../../scores.js';
import { activated } from '../activation.js';
import { wrongOutput } from '../encode.js';
import { answer, sourcesOf, type TensorContext, type TensorKind } from '../kind.js';
import type { Outputs } from '../model-tensors.js';
import { needed, numbers, wholeOutput } from '../read.js';
import { inRows } from '../rows.js';

/**
 * Passages ranked by relevance to a query, best first, equal scores in the given order; the first `with.top` of them.
 * All are scored in one request; without passages none is sent. The pairs of a call that has several go in one request too,
 * a row each, where the model's tensors have room for that.
 */
export const rerank: TensorKind = {
  invoke: (call, context) =>
    inRows(call, context, {
      fields: { query: 'query', passages: 'text' },
      one,
      outputOf: (outputs, rows) => ({ scores: ofPairs(context, outputs, rows) }),
    }),
  example: { query: 'ok', passages: ['ok'] },
};

async function one(call: Call, context: TensorContext): Promise<Reply> {
  const passages = call.input.passages as readonly (JsonObject & { readonly text: string })[];
  if (passages.length === 0) return { output: { passages: [] } };
  const sources = { ...(await sourcesOf(call, context)), passages: passages.map(({ text }) => text) };
  const { outputs } = await answer(call, context, sources);
  const whole = wholeOutput(context.map, outputs);
  if (whole) return { output: whole };
  const { name, scores } = scoresOf(context, outputs);
  return { output: ranked(scores, passages, { top: call.with.top as number | undefined, name }) };
}

function ofPairs(context: TensorContext, outputs: Outputs, pairs: number): number[] {
  const { name, scores } = scoresOf(context, outputs);
  if (scores.length !== pairs) throw wrongOutput(name, `${scores.length} scores of ${pairs} pairs`);
  return scores;
}

function scoresOf({ map }: TensorContext, outputs: Outputs): { readonly name: string; readonly scores: number[] } {
  const [bound, tensor] = needed(map, 'scores', outputs);
  return { name: bound.name, scores: [...activated(numbers(bound, tensor), bound.activation, 1)] };
}
