import { MillraceError } from '../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { isJsonObject } from '../../../pipelines/json.js';
import { readBytes, readTexts, type Tensor } from '../../../protocols/open-inference/index.js';
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

/** JSON nested deeper is refused: its readers are recursive. */
const DEEPEST = 64;

/** The value in a BYTES tensor of one element of JSON, at the entry's pointer. Throws `INVALID_OUTPUT`. */
export function jsonOf({ name, pointer }: BoundOutput, tensor: Tensor): Json {
  const [element, ...more] = readBytes(tensor);
  if (!element || more.length > 0) throw wrongOutput(name, `shape [${tensor.shape}] instead of one element of JSON`);
  let value: Json;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(element)) as Json;
  } catch {
    throw wrongOutput(name, 'its element is not JSON');
  }
  if (depth(value) > DEEPEST) throw wrongOutput(name, `its JSON is nested more than ${DEEPEST} deep`);
  return pointer === undefined ? value : at(value, pointer, name);
}

/** Evaluates a JSON pointer: https://www.rfc-editor.org/rfc/rfc6901 */
function at(value: Json, pointer: string, name: string): Json {
  const keys = pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  return keys.reduce((within: Json, key) => {
    const next =
      typeof within === 'object' && within !== null && Object.hasOwn(within, key)
        ? (within as JsonObject)[key]
        : undefined;
    if (next === undefined) throw wrongOutput(name, `its JSON has nothing at ${pointer}`);
    return next;
  }, value);
}

/** Level by level: recursion would overflow on the very values that this refuses. */
function depth(value: Json): number {
  let level: readonly Json[] = [value];
  for (let deep = 0; ; deep++) {
    if (level.length === 0 || deep > DEEPEST) return deep;
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? (Object.values(each) as Json[]) : []));
  }
}
