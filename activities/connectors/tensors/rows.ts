import type { JsonObject } from '../../../pipelines/json.js';
import { sizeOf } from '../../../protocols/open-inference/index.js';
import type { Call, Reply } from '../connector.js';
import { oneByOne, pairsIn } from '../pairs.js';
import type { BoundMap } from './bind.js';
import { answer, type TensorContext } from './kind.js';
import type { Outputs } from './model-tensors.js';

/** How a stage kind calls a model about pairs. */
interface PairCalls {
  /** The field of a pair that an input carries, by what the input is `from`. */
  readonly fields: Readonly<Record<string, string>>;
  /** A call of one pair, or of what is no pair. */
  one(call: Call, context: TensorContext): Promise<Reply>;
  /** The output of a call of several pairs, of a response with a row for each. */
  outputOf(outputs: Outputs, rows: number): JsonObject;
}

/** Calls a model: about several pairs in one request, a row each, where its tensors have room for that, else in a request each. */
export async function inRows(call: Call, context: TensorContext, { fields, one, outputOf }: PairCalls): Promise<Reply> {
  const pairs = pairsIn(call);
  if (!pairs) return one(call, context);
  const map = rowsOf(context.map, Object.keys(fields));
  if (!map) return oneByOne(call, pairs, (each) => one(each, context));
  const columns = Object.entries(fields).map(([from, field]) => [from, pairs.map((pair) => String(pair[field]))]);
  const { outputs } = await answer(call, { ...context, map }, Object.fromEntries(columns));
  return { output: outputOf(outputs, pairs.length) };
}

/**
 * The map of a request with a row for each pair of a call; undefined if the model's tensors have no room for that: an
 * input is no column of texts (`[-1]`, `[-1, 1]`), or carries something other than the pair.
 * @param from what each input carries of a pair
 */
function rowsOf(map: BoundMap, from: readonly string[]): BoundMap | undefined {
  const carried = from.every((name) => map.inputs.some((input) => input.from === name));
  const fits = map.inputs.every(
    (input) =>
      from.includes(input.from ?? '') &&
      input.encoding === undefined &&
      input.shape.lastIndexOf(-1) === 0 &&
      sizeOf(input.shape.slice(1)) === 1,
  );
  if (!carried || !fits || !map.outputs.has('scores')) return undefined;
  // Every row has a query of its own.
  return { ...map, inputs: map.inputs.map(({ each: _, ...input }) => input) };
}
