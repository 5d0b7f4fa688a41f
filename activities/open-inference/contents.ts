import type { Dtype } from '../../pipelines/media.js';
import { isDtype } from './any-tensor.js';
import { CODECS } from './elements.js';
import { CONTENTS_OF, type InferResponse, type TensorMessage } from './messages.js';
import { bytesTensor, invalid, type Tensor, viewOf } from './tensors.js';

/**
 * The outputs of a response by name, each as bytes. Servers answer in one of two forms: bytes beside the tensors, as
 * Triton does, or typed elements in them, as other servers of the protocol do; the second is turned into the first, so
 * that nothing behind this knows of it.
 */
export function tensorsOf({ outputs, raw_output_contents: raws }: InferResponse): ReadonlyMap<string, Tensor> {
  return new Map(
    outputs.map((message, i) => {
      const shape = message.shape.map(Number);
      const header = { name: message.name, datatype: message.datatype, shape };
      return [message.name, { ...header, raw: raws.length > 0 ? (raws[i] ?? EMPTY) : rawOf(message, shape) }];
    }),
  );
}

const EMPTY = Buffer.alloc(0);

function rawOf({ name, datatype, contents }: TensorMessage, shape: readonly number[]): Buffer {
  const field = isDtype(datatype) ? CONTENTS_OF[datatype] : undefined;
  if (!contents || field === undefined) return EMPTY;
  if (field === 'bytes_contents') return bytesTensor(name, shape, contents.bytes_contents).raw;
  const elements = contents[field];
  const { width, accepts, write } = CODECS[datatype as Exclude<Dtype, 'BYTES'>];
  const raw = Buffer.alloc(elements.length * width);
  const view = viewOf(raw);
  elements.forEach((element, i) => {
    // Small integers come in fields of 32 bits. NaN and infinity are left to whoever reads the floats.
    if (!datatype.startsWith('FP') && !accepts(element)) {
      throw invalid({ name }, `element ${i}, ${element}, is not ${datatype}`);
    }
    write(view, i * width, element);
  });
  return raw;
}
