import { MillraceError } from '../../pipelines/errors.js';
import type { TensorHeader } from './messages.js';

/**
 * Tensors in the encoding of `raw_input_contents` and `raw_output_contents`: row-major, little-endian; an element of
 * BYTES is a u32 length followed by that many bytes. Readers throw `INVALID_OUTPUT`, or the error of `fault`, if the
 * bytes do not match the header.
 */
export interface Tensor extends TensorHeader {
  readonly raw: Buffer;
}

/** Bytes per element. */
const WIDTH = { INT16: 2, INT32: 4, FP32: 4 } as const;
const LENGTH_PREFIX = 4;

/** Most elements of a BYTES tensor that are read: more than any model returns labels, or a caller sends texts. */
const MOST_ELEMENTS = 1_000_000;

/** A BYTES tensor of UTF-8 texts. */
export const textTensor = (name: string, shape: readonly number[], ...texts: string[]): Tensor =>
  bytesTensor(
    name,
    shape,
    texts.map((text) => Buffer.from(text, 'utf8')),
  );

/** A BYTES tensor. */
export function bytesTensor(name: string, shape: readonly number[], elements: readonly Uint8Array[]): Tensor {
  const raw = Buffer.alloc(elements.reduce((sum, element) => sum + LENGTH_PREFIX + element.length, 0));
  let at = 0;
  for (const element of elements) {
    at = raw.writeUInt32LE(element.length, at);
    raw.set(element, at);
    at += element.length;
  }
  return { name, datatype: 'BYTES', shape, raw };
}

/** An FP32 tensor. */
export function fp32Tensor(name: string, shape: readonly number[], values: Float32Array): Tensor {
  const raw = Buffer.alloc(values.length * WIDTH.FP32);
  const view = viewOf(raw);
  values.forEach((value, i) => {
    view.setFloat32(i * WIDTH.FP32, value, true);
  });
  return { name, datatype: 'FP32', shape, raw };
}

/** The elements of a BYTES tensor. */
export function readBytes(tensor: Tensor, fault = invalid): Buffer[] {
  expectDatatype(tensor, 'BYTES', fault);
  const { raw, shape } = tensor;
  // Each element becomes an object of a hundred bytes, of which the tensor has four.
  const wanted = sizeOf(shape);
  // Of lengths as large as `Infinity` and 0 it is NaN.
  if (!(wanted <= MOST_ELEMENTS)) throw fault(tensor, `shape [${shape}] has more than ${MOST_ELEMENTS} elements`);
  const elements: Buffer[] = [];
  for (let at = 0; at < raw.length; ) {
    if (elements.length === wanted) throw fault(tensor, `more elements than shape [${shape}] has`);
    const start = at + LENGTH_PREFIX;
    const end = start <= raw.length ? start + raw.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (end > raw.length) throw fault(tensor, `element ${elements.length} extends beyond the ${raw.length} bytes sent`);
    elements.push(raw.subarray(start, end));
    at = end;
  }
  if (elements.length !== wanted) throw fault(tensor, `${elements.length} elements for shape [${shape}]`);
  return elements;
}

/** The texts of a BYTES tensor. */
export function readTexts(tensor: Tensor, fault = invalid): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return readBytes(tensor, fault).map((element, i) => {
    try {
      return decoder.decode(element);
    } catch {
      throw fault(tensor, `element ${i} is not UTF-8`);
    }
  });
}

/** The only text of a BYTES tensor of one element. */
export function readText(tensor: Tensor): string {
  const [text, ...more] = readTexts(tensor);
  if (text === undefined || more.length > 0) throw invalid(tensor, `shape [${tensor.shape}] instead of one element`);
  return text;
}

/** The values of an FP32 tensor; all must be finite. */
export function readFp32(tensor: Tensor): Float32Array {
  const view = numeric(tensor, 'FP32');
  const values = new Float32Array(tensor.raw.length / WIDTH.FP32);
  for (let i = 0; i < values.length; i++) {
    const value = view.getFloat32(i * WIDTH.FP32, true);
    if (!Number.isFinite(value)) throw invalid(tensor, `element ${i} is ${value}`);
    values[i] = value;
  }
  return values;
}

/** The values of an INT16 tensor. */
export function readInt16(tensor: Tensor): Int16Array {
  const view = numeric(tensor, 'INT16');
  const values = new Int16Array(tensor.raw.length / WIDTH.INT16);
  for (let i = 0; i < values.length; i++) values[i] = view.getInt16(i * WIDTH.INT16, true);
  return values;
}

/** The values of an INT32 tensor. */
export function readInt32(tensor: Tensor): Int32Array {
  const view = numeric(tensor, 'INT32');
  const values = new Int32Array(tensor.raw.length / WIDTH.INT32);
  for (let i = 0; i < values.length; i++) values[i] = view.getInt32(i * WIDTH.INT32, true);
  return values;
}

function numeric(tensor: Tensor, datatype: keyof typeof WIDTH): DataView {
  expectDatatype(tensor, datatype);
  const bytes = sizeOf(tensor.shape) * WIDTH[datatype];
  if (tensor.raw.length !== bytes) {
    throw invalid(tensor, `${tensor.raw.length} bytes for shape [${tensor.shape}], which takes ${bytes}`);
  }
  return viewOf(tensor.raw);
}

function expectDatatype(tensor: Tensor, datatype: string, fault = invalid): void {
  if (tensor.datatype !== datatype) throw fault(tensor, `${tensor.datatype} instead of ${datatype}`);
}

/** The number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

export const viewOf = (raw: Buffer): DataView => new DataView(raw.buffer, raw.byteOffset, raw.byteLength);

/** An error about a model's output tensor. */
export const invalid: Fault = ({ name }, problem) =>
  new MillraceError('INVALID_OUTPUT', `output tensor ${name}: ${problem}`);

/** Creates the error for bytes that do not match their header; the code depends on who sent them. */
export type Fault = (tensor: { readonly name: string }, problem: string) => MillraceError;
