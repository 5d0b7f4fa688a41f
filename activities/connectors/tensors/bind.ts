import { didYouMean } from '../../../pipelines/did-you-mean.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Dtype } from '../../../pipelines/media.js';
import { isDtype } from '../../../protocols/open-inference/index.js';
import type { InputEntry, OutputEntry, TensorMap } from './map-schema.js';
import type { DescribedTensor, ModelTensors } from './model-tensors.js';

/** An input of a map with what the model's metadata says. */
export interface BoundInput extends Omit<InputEntry, 'dtype' | 'shape'> {
  readonly name: string;
  readonly dtype: Dtype;
  /** -1 for a dimension that varies. */
  readonly shape: readonly number[];
}

/** An output of a map; its type and shape are those of each response. */
export interface BoundOutput extends Omit<OutputEntry, 'dtype' | 'shape' | 'optional'> {
  readonly name: string;
  /** As the model's metadata has them, for those who read the map. */
  readonly dtype?: Dtype | undefined;
  readonly shape?: readonly number[] | undefined;
}

/** A map that fits its model. */
export interface BoundMap {
  readonly inputs: readonly BoundInput[];
  /** By what they are for the stage: `embedding`, `scores`. */
  readonly outputs: ReadonlyMap<string, BoundOutput>;
  /** A request may have several responses. */
  readonly decoupled: boolean;
}

/**
 * Connects a map with a model's tensors. Throws `BACKEND_REJECTED` naming every tensor that the model does not have,
 * that it needs and does not get, or whose type or shape differs.
 */
export function bind(map: TensorMap, model: ModelTensors): BoundMap {
  const problems: string[] = [];
  const inputs = Object.entries(map.inputs).flatMap(([name, entry]): BoundInput[] => {
    const described = named(name, model.inputs);
    if (!described && model.inputs.length > 0) {
      if (!entry.optional) problems.push(absent('input', name, model.inputs));
      return [];
    }
    const bound = boundInput(name, entry, described);
    if (typeof bound !== 'string') return [bound];
    problems.push(bound);
    return [];
  });
  for (const { name, optional } of model.inputs) {
    if (!optional && !Object.hasOwn(map.inputs, name))
      problems.push(`the model needs the input ${name}, which the map lacks`);
  }
  const outputs = Object.entries(map.outputs).flatMap(([name, entry]) => {
    const described = named(name, model.outputs);
    if (!described && model.outputs.length > 0) {
      if (!entry.optional) problems.push(absent('output', name, model.outputs));
      return [];
    }
    problems.push(...differences('output', name, entry, described));
    const dtype = entry.dtype ?? (described && isDtype(described.datatype) ? described.datatype : undefined);
    return [[entry.to, { ...entry, name, dtype, shape: entry.shape ?? described?.shape }] as const];
  });
  if (problems.length > 0) {
    throw new MillraceError('BACKEND_REJECTED', `the tensor map does not fit the model: ${problems.join('; ')}`);
  }
  return { inputs, outputs: new Map(outputs), decoupled: model.decoupled ?? false };
}

/** Connects one image with an input, whatever the model's other tensors are. */
export function bindImage(entry: TensorMap['inputs'], { inputs, outputs }: ModelTensors): BoundMap {
  const own = inputs.filter(({ name }) => Object.hasOwn(entry, name));
  const [missing] = Object.keys(entry);
  if (inputs.length > 0 && own.length === 0 && missing !== undefined) {
    throw new MillraceError('BACKEND_REJECTED', absent('input', missing, inputs));
  }
  return bind({ inputs: entry, outputs: {} }, { inputs: own, outputs });
}

function boundInput(name: string, entry: InputEntry, described: DescribedTensor | undefined): BoundInput | string {
  const [different] = differences('input', name, entry, described);
  if (different !== undefined) return different;
  const dtype = entry.dtype ?? described?.datatype;
  const shape = entry.shape ?? described?.shape;
  if (dtype === undefined || shape === undefined) {
    return `the server does not describe the input ${name}: give dtype and shape`;
  }
  if (!isDtype(dtype)) return `the input ${name} has the type ${dtype}, which is not supported`;
  const bound = { ...entry, name, dtype, shape };
  if (entry.from === 'image' && entry.encoding !== 'file') return boundImage(bound);
  if (dtype !== 'BYTES' && entry.encoding === 'json') return `the input ${name} is ${dtype}, JSON needs BYTES`;
  return bound;
}

/** Layout and size of an image input, as far as the shape tells them. */
function boundImage(input: BoundInput): BoundInput | string {
  const { name, dtype, shape } = input;
  if (dtype === 'BYTES') return { ...input, encoding: 'file' };
  const last = shape.slice(-3);
  if (last.length < 3) return `the input ${name} of shape [${shape}] is no image: it needs three dimensions`;
  const [first = 0, , third = 0] = last;
  const isChannels = (size: number) => size === 1 || size === 3;
  const layout = input.layout ?? (isChannels(first) ? 'CHW' : isChannels(third) ? 'HWC' : undefined);
  if (layout === undefined) return `the layout of ${name} is not clear from its shape [${shape}]: give layout`;
  const [channels = 0, height = 0, width = 0] = layout === 'CHW' ? last : [last[2], last[0], last[1]];
  const colors = input.colors ?? (channels === 1 ? 'gray' : 'rgb');
  if (channels > 0 && channels !== (colors === 'gray' ? 1 : 3)) {
    return `the input ${name} has ${channels} channels, which ${colors} does not have`;
  }
  for (const [side, own] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (own > 0 && input[side] !== undefined && input[side] !== own) {
      return `the input ${name} has the ${side} ${own} instead of ${input[side]}`;
    }
  }
  const sized = (own: number, given: number | undefined) => (own > 0 ? own : given);
  return { ...input, layout, colors, width: sized(width, input.width), height: sized(height, input.height) };
}

function differences(
  what: 'input' | 'output',
  name: string,
  { dtype, shape }: Pick<InputEntry, 'dtype' | 'shape'>,
  described: DescribedTensor | undefined,
): string[] {
  if (!described) return [];
  const own = described.shape;
  const fits =
    shape === undefined ||
    own.length === 0 ||
    (shape.length === own.length && shape.every((size, i) => size === -1 || own[i] === -1 || size === own[i]));
  return [
    ...(dtype !== undefined && described.datatype !== '' && dtype !== described.datatype
      ? [`the ${what} ${name} is ${described.datatype}, not ${dtype}`]
      : []),
    ...(fits ? [] : [`the ${what} ${name} has the shape [${own}], not [${shape}]`]),
  ];
}

const named = (name: string, all: readonly DescribedTensor[]) => all.find((tensor) => tensor.name === name);

function absent(what: string, name: string, all: readonly DescribedTensor[]): string {
  const names = all.map((tensor) => tensor.name);
  return `the model has no ${what} ${name} (it has: ${names.join(', ')})${didYouMean(name, names)}`;
}
