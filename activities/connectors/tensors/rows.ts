import { sizeOf } from '../../../protocols/open-inference/index.js';
import type { BoundMap } from './bind.js';

/**
 * The map of a request with a row for each pair of a call; undefined if the model's tensors have no room for that: an
 * input is no column of texts (`[-1]`, `[-1, 1]`), or carries something other than the pair.
 * @param from what each input carries of a pair
 */
export function rowsOf(map: BoundMap, from: readonly string[]): BoundMap | undefined {
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
