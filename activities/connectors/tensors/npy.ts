import type { Dtype } from '../../../pipelines/media.js';
import { badInput, sizeOf, type Tensor } from '../../../protocols/open-inference/index.js';

/*
 * NumPy's file format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Little-endian arrays in C
 * order of the types below; texts and BF16 have no portable form there.
 */

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const DESCR: Partial<Record<Dtype, string>> = {
  BOOL: '|b1',
  UINT8: '|u1',
  UINT16: '<u2',
  UINT32: '<u4',
  UINT64: '<u8',
  INT8: '|i1',
  INT16: '<i2',
  INT32: '<i4',
  INT64: '<i8',
  FP16: '<f2',
  FP32: '<f4',
  FP64: '<f8',
};
/** The data start at a multiple of this many bytes. */
const ALIGNED = 64;
const MOST_HEADER = 4_096;
const HEADER =
  /^\{\s*'descr':\s*'([^']{1,8})',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d,\s]{0,200})\),?\s*\}\s*$/;

export const isNpy = (bytes: Uint8Array): boolean => MAGIC.equals(bytes.subarray(0, MAGIC.length));

/** Whether arrays of the type have a form in the format. */
export const inNpy = (dtype: Dtype): boolean => DESCR[dtype] !== undefined;

/** A tensor as a file. The type must be `inNpy`. */
export function toNpy({ datatype, shape, raw }: Tensor): Buffer {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${DESCR[datatype as Dtype]}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const before = MAGIC.length + 4;
  const length = Math.ceil((before + text.length + 1) / ALIGNED) * ALIGNED - before;
  const head = Buffer.alloc(before, 0);
  MAGIC.copy(head);
  head[6] = 1;
  head.writeUInt16LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1'), raw]);
}

/** The tensor in a file; its bytes are those of the file, not copied. Throws `INVALID_INPUT` naming the tensor. */
export function fromNpy(name: string, bytes: Buffer): Tensor {
  const wide = (bytes[6] ?? 0) >= 2;
  const start = MAGIC.length + (wide ? 6 : 4);
  if (bytes.length < start) throw badInput(name, 'its .npy file ends within the header');
  const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
  if (length > MOST_HEADER || bytes.length < start + length) throw badInput(name, 'its .npy file has no valid header');
  const [, descr, fortran, sizes = ''] = HEADER.exec(bytes.toString('latin1', start, start + length)) ?? [];
  const [dtype] = Object.entries(DESCR).find(([, own]) => own === descr || own.slice(1) === descr) ?? [];
  if (dtype === undefined) throw badInput(name, `its .npy file holds ${descr ?? 'no array'}, which no tensor type is`);
  if (fortran === 'True') throw badInput(name, 'its .npy file is in Fortran order; save it in C order');
  const shape = sizes
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  const raw = bytes.subarray(start + length);
  if (!Number.isSafeInteger(sizeOf(shape))) throw badInput(name, `its .npy file has the shape [${shape}]`);
  return { name, datatype: dtype, shape, raw };
}
