import type { TakeMedia } from '../../media/index.js';
import { artifactJson } from '../../pipelines/artifact.js';
import { messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { isMediaKind, type MediaKind } from '../../pipelines/media.js';
import {
  badInput,
  invalidInput as faultyInput,
  fromWire,
  readBytes,
  sizeOf,
  type Tensor,
} from '../../protocols/open-inference/index.js';
import type { CheckedInput } from '../../runs/sent-input.js';
import { expectExact } from '../input/exact-numbers.js';
import { MOST_VALUES } from '../input/input-size.js';
import { expectModestJson } from '../input/json-size.js';
import type { MediaIntake } from '../input/media-intake.js';
import type { TensorField } from './fields.js';
import type { InputTensor, ParameterValues } from './input-tensor.js';
import type { ServedModel } from './models.js';
import { isSamples, wavOf } from './samples.js';

/** The tensors of a request until they are read. They are large, and are released before the wait for the run. */
export class GivenTensors {
  #tensors: readonly InputTensor[];
  readonly #left: () => void;

  /** @param left called when they are no longer kept here */
  constructor(tensors: readonly InputTensor[], left: () => void) {
    this.#tensors = tensors;
    this.#left = left;
  }

  async read<T>(use: (tensors: readonly InputTensor[]) => Promise<T>): Promise<T> {
    try {
      return await use(this.#tensors);
    } finally {
      this.#tensors = [];
      this.#left();
    }
  }
}

/** A media tensor may contain an artifact's address instead of the file. */
const ADDRESS = Buffer.from('artifact://');
/** More than an address has, in bytes: the rest of a longer one is not made a text. */
const LONGEST_ADDRESS = 512;

interface ReadOptions {
  /** Of the request. */
  readonly parameters: ParameterValues;
  readonly intake: MediaIntake;
  /** Of all tensors that are no media: they are decoded at once, as a JSON body is. */
  readonly maxJsonBytes: number;
}

/**
 * Converts a request's tensors to the pipeline's input and stores its media. Throws `INVALID_INPUT` and the errors of
 * media fields, with the tensor's name.
 */
export async function readTensors(
  { pipeline, form, inputs }: ServedModel,
  tensors: readonly InputTensor[],
  { parameters, intake, maxJsonBytes }: ReadOptions,
): Promise<CheckedInput> {
  const given = new Map<string, Json>();
  let values = 0;
  for (const tensor of tensors) {
    const { name } = tensor;
    const field = inputs.find((each) => each.name === name);
    if (field === undefined) {
      const known = inputs.map((each) => each.name).join(', ') || 'none';
      throw badInput(name, `the pipeline ${pipeline.name} has no such input (it has: ${known})`);
    }
    if (given.has(name)) throw badInput(name, 'it is given twice');
    if (!tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0))
      throw badInput(name, `[${tensor.shape}] is not a shape`);
    if (!isMediaKind(field.holds)) values += tensor.raw.length;
    if (values > maxJsonBytes)
      throw badInput(name, `tensors that are no media have at most ${maxJsonBytes} bytes (MILLRACE_MAX_JSON_BYTES)`);
    const value = await inputOf(field, tensor, parameters, intake);
    if (value !== undefined) given.set(name, value);
  }
  const take: TakeMedia = async (media, { path, kind }) =>
    ({ ...(await intake.fromJson(path, media, kind)) }) as unknown as Json;
  for (const { name, holds } of inputs) {
    const value = given.get(name);
    if (holds === 'json' && value !== undefined) given.set(name, await form.withMedia(name, value, take));
  }
  const fields = Object.fromEntries(given);
  return { input: form.parse(fields), given: fields };
}

/** The value of a tensor; undefined for an empty tensor of an optional field. */
async function inputOf(
  field: TensorField,
  tensor: InputTensor,
  parameters: ParameterValues,
  intake: MediaIntake,
): Promise<Json | undefined> {
  const { holds, list, optional } = field;
  if (holds === 'audio' && !list && isSamples(tensor)) {
    return artifactJson(await intake.fromPieces(field.name, wavOf(tensor, field.rate, parameters), holds));
  }
  if (tensor.datatype !== field.datatype)
    throw badInput(field.name, `${tensor.datatype} instead of ${expected(field)}`);
  const shape = shapeFor(field, tensor);
  if (shape === undefined) throw badInput(field.name, `shape [${tensor.shape}] instead of [${field.shape}]`);
  if (sizeOf(shape) > MOST_VALUES) throw badInput(field.name, `shape [${shape}] has more than ${MOST_VALUES} elements`);
  const fitting = { ...tensor, shape };
  if (holds === 'tensor') return fromWire(fitting, faultyInput) as unknown as Json;
  const items = isMediaKind(holds) ? await media(field, holds, fitting, intake) : values(field, elements(fitting));
  if (list) return items;
  if (items.length > 0 || !optional) return items[0];
  return undefined;
}

const expected = ({ holds, datatype }: TensorField): string =>
  holds === 'audio' ? 'BYTES (a file), FP32 or INT16 (samples)' : datatype;

/**
 * The tensor's shape in the field's rank: leading dimensions of 1, a batch of one, may be added. Undefined if it does
 * not fit. An optional field may also be empty, with shape [0].
 */
function shapeFor({ shape: wanted, optional, list }: TensorField, { shape }: Tensor): readonly number[] | undefined {
  const extra = shape.length - wanted.length;
  if (extra < 0 || shape.slice(0, extra).some((size) => size !== 1)) return undefined;
  const inner = shape.slice(extra);
  if (optional && !list && sizeOf(inner) === 0) return inner;
  return wanted.every((size, i) => size === -1 || size === inner[i]) ? inner : undefined;
}

const elements = (tensor: Tensor): readonly (string | number | boolean)[] => fromWire(tensor, faultyInput).data;

/** JSON is counted as one list before any of it is parsed: an element that is none ends the reading, so those before it are counted right. */
function values(field: TensorField, given: readonly (string | number | boolean)[]): Json[] {
  if (field.holds !== 'json') return [...given];
  expectModestJson(Buffer.from(`[${given.join(',')}]`), field.name);
  return given.map((element, i) => parsed(field, element as string, i));
}

function parsed({ name, list }: TensorField, text: string, index: number): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw badInput(name, `element ${index} is not JSON: ${messageOf(error)}`);
  }
  expectExact(value, text, list ? `${name}.${index}` : name);
  return value;
}

async function media(field: TensorField, kind: MediaKind, tensor: Tensor, intake: MediaIntake): Promise<Json[]> {
  const taken: Json[] = [];
  for (const [i, bytes] of readBytes(tensor, faultyInput).entries()) {
    const path = field.list ? `${field.name}.${i}` : field.name;
    const isAddress = bytes.subarray(0, ADDRESS.length).equals(ADDRESS);
    const artifact = isAddress
      ? await intake.fromJson(path, { uri: bytes.toString('utf8', 0, LONGEST_ADDRESS) }, kind)
      : await intake.fromBytes(path, bytes, kind);
    taken.push(artifactJson(artifact));
  }
  return taken;
}
