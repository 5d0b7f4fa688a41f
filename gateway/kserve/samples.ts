import { clamp, toInt16, wavHeader } from '../../media/index.js';
import { badInput, sizeOf, type Tensor } from '../../protocols/open-inference/index.js';
import type { Pieces } from '../input/media-intake.js';
import type { InputTensor, ParameterValues } from './input-tensor.js';

/** Sample rates that a WAV file may have, in Hz: from below telephony to above studio rates. */
const LEAST_RATE = 4_000;
const MOST_RATE = 384_000;

/** Size of the pieces in which samples are converted to a file. */
const PIECE_BYTES = 64 * 1024;

/** Parameters with the sample rate: of the tensor, or of the whole request. */
export const RATE = 'sample_rate';
const INPUT_RATE = 'input_sample_rate';

/** Whether the audio is sent as samples instead of a file. */
export const isSamples = ({ datatype }: Tensor): boolean => datatype === 'FP32' || datatype === 'INT16';

/**
 * Converts mono samples, FP32 in [-1, 1] or INT16, to a 16-bit WAV file; its pieces throw as well. The sample rate is
 * the tensor's parameter `sample_rate`, the request's `input_sample_rate`, or that of the pipeline. Throws
 * `INVALID_INPUT` with the tensor's name.
 */
export function wavOf(tensor: InputTensor, requestedRate: number | undefined, parameters: ParameterValues): Pieces {
  const { name, shape, raw, datatype } = tensor;
  const extra = shape.length - 1;
  if (extra < 0 || shape.slice(0, extra).some((size) => size !== 1))
    throw badInput(name, `shape [${shape}] instead of [-1]: samples are mono`);
  const rate = tensor.parameters[RATE] ?? parameters[INPUT_RATE] ?? requestedRate;
  if (rate === undefined) throw badInput(name, `samples need a rate in Hz: set the tensor’s parameter ${RATE}`);
  if (typeof rate !== 'number' || !Number.isInteger(rate) || rate < LEAST_RATE || rate > MOST_RATE)
    throw badInput(name, `${RATE} must be a whole number of Hz from ${LEAST_RATE} to ${MOST_RATE}, not ${rate}`);
  const width = datatype === 'INT16' ? 2 : 4;
  const frames = sizeOf(shape);
  if (raw.length !== frames * width)
    throw badInput(name, `${raw.length} bytes for shape [${shape}], which takes ${frames * width}`);
  const header = wavHeader({ sampleRate: rate, channels: 1, frames });
  return { length: header.length + frames * 2, pieces: wavPieces(header, tensor) };
}

/**
 * Converts piece by piece and yields to other requests in between: the samples of one message can take minutes of CPU
 * time.
 */
function* wavPieces(header: Uint8Array, { name, datatype, raw }: Tensor): Generator<Uint8Array, void> {
  yield header;
  for (let at = 0; at < raw.length; at += PIECE_BYTES) {
    const piece = raw.subarray(at, at + PIECE_BYTES);
    yield datatype === 'INT16' ? piece : bytesOf(toInt16(clamp(finite(piece, at / 4, name))));
  }
}

function finite(piece: Buffer, first: number, name: string): Float32Array {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
  const samples = new Float32Array(piece.length / 4);
  for (let i = 0; i < samples.length; i++) {
    const sample = view.getFloat32(i * 4, true);
    if (!Number.isFinite(sample))
      throw badInput(name, `element ${first + i} is ${sample}, which is not a valid sample`);
    samples[i] = sample;
  }
  return samples;
}

/** A view of the samples is their bytes: Node runs on little-endian machines only. */
const bytesOf = ({ buffer, byteOffset, byteLength }: Int16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
