import { isArtifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import type { Dtype, TensorFile, TensorFileFormat } from '../../../pipelines/media.js';
import { badInput, CODECS, invalid, isDtype, sizeOf, type Tensor } from '../../../protocols/open-inference/index.js';
import type { CallContext } from '../connector.js';
import { fromNpy, inNpy, isNpy, toNpy } from './npy.js';

/** Files of the run's tenant. */
export interface Media {
  readonly artifacts?: CallContext['artifacts'] | undefined;
}

const NPY = 'application/x-npy';
const RAW = 'application/octet-stream';

export const isTensorFile = (value: unknown): value is TensorFile =>
  typeof value === 'object' && value !== null && 'file' in value && isArtifact((value as { file: unknown }).file);

/** The tensor of a file. Throws `INVALID_INPUT` naming the tensor if its bytes are not what it says. */
export async function readTensorFile(
  name: string,
  { dtype, shape, file }: TensorFile,
  context: Media,
): Promise<Tensor> {
  const bytes = asBuffer(await mediaOf(context).read(file));
  const tensor =
    isNpy(bytes) && file.mime !== RAW ? fromNpy(name, bytes) : { name, datatype: dtype, shape, raw: bytes };
  if (tensor.datatype !== dtype) throw badInput(name, `its file holds ${tensor.datatype}, not ${dtype}`);
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    throw badInput(name, `its file has the shape [${tensor.shape}], not [${shape}]`);
  }
  const wanted = bytesFor(tensor);
  if (wanted !== undefined && tensor.raw.length !== wanted) {
    throw badInput(name, `${tensor.raw.length} bytes for shape [${shape}] of ${dtype}, which takes ${wanted}`);
  }
  return tensor;
}

/** Stores a model's output as a file. Throws `INVALID_OUTPUT` naming the tensor if its bytes do not fit its shape. */
export async function writeTensorFile(tensor: Tensor, format: TensorFileFormat, context: Media): Promise<Json> {
  const { datatype, shape, raw } = tensor;
  const wanted = bytesFor(tensor);
  if (wanted !== undefined && raw.length !== wanted) {
    throw invalid(tensor, `${raw.length} bytes for shape [${shape}], which takes ${wanted}`);
  }
  const npy = format === 'npy' && inNpy(datatype as Dtype);
  const file = await mediaOf(context).write(npy ? toNpy(tensor) : raw, { type: npy ? NPY : RAW });
  return { dtype: datatype, shape: [...shape], file: { ...file } } as unknown as Json;
}

/**
 * Joins responses along one dimension, as bytes. All other dimensions must be equal. Throws `INVALID_OUTPUT`.
 * @param axis -1: none of them varies
 */
export function joinedBytes(parts: readonly [Tensor, ...Tensor[]], axis: number): Tensor {
  const [first, ...others] = parts;
  if (others.length === 0) return first;
  const alike = parts.every(
    ({ datatype, shape }) =>
      datatype === first.datatype &&
      shape.length === first.shape.length &&
      shape.every((size, i) => i === axis || size === first.shape[i]),
  );
  if (axis < 0 || !alike || (first.datatype === 'BYTES' && axis > 0)) {
    throw invalid(first, `${parts.length} responses of ${first.datatype} [${first.shape}], which cannot be joined`);
  }
  const rows = sizeOf(first.shape.slice(0, axis));
  const raw = Array.from({ length: rows }, (_, row) =>
    parts.map((part) => {
      const width = part.raw.length / rows;
      return part.raw.subarray(row * width, (row + 1) * width);
    }),
  ).flat();
  const size = parts.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
  return { ...first, shape: first.shape.with(axis, size), raw: Buffer.concat(raw) };
}

/** Undefined for BYTES, whose elements have lengths of their own. */
const bytesFor = ({ datatype, shape }: Tensor): number | undefined =>
  isDtype(datatype) && datatype !== 'BYTES' ? sizeOf(shape) * CODECS[datatype].width : undefined;

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function mediaOf({ artifacts }: Media): NonNullable<CallContext['artifacts']> {
  if (artifacts) return artifacts;
  throw new MillraceError('INTERNAL', 'this host has no artifacts');
}
