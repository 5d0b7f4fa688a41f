import { MillraceError } from '../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { isJsonObject } from '../../../pipelines/json.js';
import { readBytes, readTexts, type Tensor } from '../../../protocols/open-inference/index.js';
import { parseJson, valueAt } from '../json-values.js';
import type { BoundMap, BoundOutput } from './bind.js';
import { wrongOutput } from './encode.js';
import type { Outputs } from './model-tensors.js';
import { type Numbers, numbersOf } from './numbers.js';

/** Requested of the model: the outputs that the map reads. */
export const requested = ({ outputs }: BoundMap): string[] => [...outputs.values()].map(({ name }) => name);

/** The tensor that is `to` for the stage; undefined if the map has none. Throws `INVALID_OUTPUT` if it is missing. */
export function found(map: BoundMap, to: string, outputs: Outputs): readonly [BoundOutput, Tensor] | undefined {
  const bound = map.outputs.get(to);
  if (!bound) return undefined;
  const tensor = outputs.get(bound.name);
  if (tensor) return [bound, tensor];
  const given = [...outputs.keys()].join(', ') || 'none';
  throw new MillraceError('INVALID_OUTPUT', `the model returned no output ${bound.name} (its outputs: ${given})`);
}

/** As `found`; an error without an entry in the map, which the map's schema prevents. */
export function needed(map: BoundMap, to: string, outputs: Outputs): readonly [BoundOutput, Tensor] {
  const pair = found(map, to, outputs);
  if (pair) return pair;
  throw new MillraceError('INTERNAL', `the tensor map has no output for "${to}"`);
}

/** The whole output of a stage, where the map has it as JSON. */
export function wholeOutput(map: BoundMap, outputs: Outputs): JsonObject | undefined {
  const pair = found(map, 'output', outputs);
  if (!pair) return undefined;
  const value = jsonOf(...pair);
  if (isJsonObject(value)) return value;
  throw wrongOutput(pair[0].name, 'its JSON is not an object');
}

/** Numbers of a tensor, or of a list in its JSON. */
export function numbers(bound: BoundOutput, tensor: Tensor): Numbers {
  if (bound.encoding !== 'json') return numbersOf(tensor, { infinite: bound.activation === 'softmax' });
  const value = jsonOf(bound, tensor);
  const list = Array.isArray(value) ? value.flat(8) : [];
  if (list.length === 0 || !list.every((each) => typeof each === 'number')) {
    throw wrongOutput(bound.name, 'its JSON is not a list of numbers');
  }
  return Float64Array.from(list as number[]);
}

/** Texts of a BYTES tensor, or the text in its JSON. */
export function texts(bound: BoundOutput, tensor: Tensor): string[] {
  if (bound.encoding !== 'json') return readTexts(tensor);
  const value = jsonOf(bound, tensor);
  const list = Array.isArray(value) ? value : [value];
  if (!list.every((each) => typeof each === 'string')) throw wrongOutput(bound.name, 'its JSON is not text');
  return list as string[];
}

/** Longest text of a call, in characters: more than a result may have. A model that answers in parts may go on without end. */
const LONGEST_TEXT = 4 * 1_024 * 1_024;

/** The text so far with its next part. Throws `INVALID_OUTPUT` above the limit. */
export function withPart(text: string, part: string, { name }: BoundOutput): string {
  if (text.length + part.length > LONGEST_TEXT) throw wrongOutput(name, `more than ${LONGEST_TEXT} characters of text`);
  return text + part;
}

/** The value in a BYTES tensor of one element of JSON, at the entry's pointer. Throws `INVALID_OUTPUT`. */
export function jsonOf({ name, pointer }: BoundOutput, tensor: Tensor): Json {
  const [element, ...more] = readBytes(tensor);
  if (!element || more.length > 0) throw wrongOutput(name, `shape [${tensor.shape}] instead of one element of JSON`);
  const value = parseJson(element, (problem) => wrongOutput(name, `its ${problem}`));
  const found = valueAt(value, pointer ?? '');
  if (found === undefined) throw wrongOutput(name, `its JSON has nothing at ${pointer}`);
  return found;
}
