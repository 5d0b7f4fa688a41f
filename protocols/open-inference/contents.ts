import { type Dtype, isFloat } from '../../pipelines/media.js';
import { isDtype } from './any-tensor.js';
import { CODECS } from './elements.js';
import { CONTENTS_OF, type InferResponse, type TensorMessage } from './messages.js';
import { bytesTensor, type Fault, invalid, sizeOf, type Tensor, viewOf } from './tensors.js';

/** The outputs of a response by name, as bytes. */
export const tensorsOf = ({ outputs, raw_output_contents: raws }: InferResponse): ReadonlyMap<string, Tensor> =>
  new Map(withBytes(outputs, raws).map((tensor) => [tensor.name, tensor]));

/**
 * The tensors of a message, as bytes. The protocol has two forms: bytes beside the tensors, as Triton and its clients
 * send, or typed elements inside them; the second is converted to the first.
 */
export const withBytes = (messages: readonly TensorMessage[], raws: readonly Buffer[], fault = invalid): Tensor[] =>
  messages.map((message, i) => {
    const shape = message.shape.map(Number);
    const header = { name: message.name, datatype: message.datatype, shape };
    return { ...header, raw: raws.length > 0 ? (raws[i] ?? EMPTY) : rawOf(message, shape, fault) };
  });

const EMPTY = Buffer.alloc(0);

function rawOf({ name, datatype, contents }: TensorMessage, shape: readonly number[], fault: Fault): Buffer {
  const field = isDtype(datatype) ? CONTENTS_OF[datatype] : undefined;
  if (!contents || field === undefined) return EMPTY;
  const { length } = contents[field];
  if (length !== sizeOf(shape)) throw fault({ name }, `${length} elements for shape [${shape}]`);
  if (field === 'bytes_contents') return bytesTensor(name, shape, contents.bytes_contents).raw;
  const elements = contents[field];
  const { width, accepts, write } = CODECS[datatype as Exclude<Dtype, 'BYTES'>];
  const raw = Buffer.alloc(elements.length * width);
  const view = viewOf(raw);
  elements.forEach((element, i) => {
    // Small integers are sent in 32-bit fields. NaN and infinity are checked by the reader of the floats.
    if (!isFloat(datatype) && !accepts(element)) {
      throw fault({ name }, `element ${i}, ${element}, is not ${datatype}`);
    }
    write(view, i * width, element);
  });
  return raw;
}
