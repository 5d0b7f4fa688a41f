import { MillraceError } from '../../pipelines/errors.js';
import { DTYPES, type Dtype } from '../../pipelines/media.js';
import { CODECS, type Element } from './elements.js';
import { bytesTensor, type Fault, invalid, readTexts, sizeOf, type Tensor, viewOf } from './tensors.js';

/** A tensor in JSON, row-major: the input and output of `infer` stages. */
export interface AnyTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: readonly Element[];
}

export const isDtype = (datatype: string): datatype is Dtype => (DTYPES as readonly string[]).includes(datatype);

/** Encodes the tensor. Throws `INVALID_INPUT` with tensor and element if the type cannot represent an element. */
export function toWire(name: string, { dtype, shape, data }: AnyTensor): Tensor {
  const size = sizeOf(shape);
  if (data.length !== size) throw badInput(name, `${data.length} elements for shape [${shape}], which takes ${size}`);
  if (dtype === 'BYTES') {
    const odd = data.findIndex((element) => typeof element !== 'string');
    if (odd !== -1) throw badInput(name, `element ${odd}, ${JSON.stringify(data[odd])}, is not a text`);
    return bytesTensor(
      name,
      shape,
      data.map((text) => Buffer.from(text as string, 'utf8')),
    );
  }
  const { width, accepts, write } = CODECS[dtype];
  const raw = Buffer.alloc(size * width);
  const view = viewOf(raw);
  data.forEach((element, i) => {
    if (!accepts(element)) throw badInput(name, `element ${i}, ${JSON.stringify(element)}, is not ${a(dtype)}`);
    write(view, i * width, element);
  });
  return { name, datatype: dtype, shape, raw };
}

/**
 * Decodes a tensor to JSON. Throws `INVALID_OUTPUT` or the error of `fault`, with tensor and element, for values that
 * JSON cannot represent.
 */
export function fromWire(tensor: Tensor, fault: Fault = invalid): AnyTensor {
  const { datatype, shape, raw } = tensor;
  if (!isDtype(datatype)) throw fault(tensor, `elements of type ${datatype} cannot be read`);
  if (datatype === 'BYTES') return { dtype: datatype, shape, data: readTexts(tensor, fault) };
  const { width, read } = CODECS[datatype];
  const size = sizeOf(shape);
  if (raw.length !== size * width) {
    throw fault(tensor, `${raw.length} bytes for shape [${shape}], which takes ${size * width}`);
  }
  const view = viewOf(raw);
  const data = Array.from({ length: size }, (_, i) => {
    const element = read(view, i * width);
    if (typeof element === 'number' && !Number.isFinite(element)) {
      throw fault(tensor, `element ${i} is ${element}, which JSON cannot represent`);
    }
    return element;
  });
  return { dtype: datatype, shape, data };
}

/** An error about an input tensor. */
export const badInput = (name: string, message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', `input tensor ${name}: ${message}`, { fields: [{ field: name, message }] });

export const invalidInput: Fault = ({ name }, problem) => badInput(name, problem);

const a = (dtype: Dtype): string => (/^(INT|UINT|FP)/.test(dtype) ? `${dtype} number` : dtype);
