import { clamp, toInt16, writeWav } from '../../activities/media/index.js';
import { badInput, fromWire, invalidInput, type Tensor } from '../../activities/open-inference/index.js';
import type { InputTensor, ParameterValues } from './read-tensors.js';

/** Rates that a file may say, in Hz: from below telephony to above studios. */
const LEAST_RATE = 4_000;
const MOST_RATE = 384_000;

/** Names of the parameters that say the rate of samples: of the tensor itself, or of the whole request. */
export const RATE = 'sample_rate';
const INPUT_RATE = 'input_sample_rate';

/** Whether audio comes as samples instead of as a file. */
export const isSamples = ({ datatype }: Tensor): boolean => datatype === 'FP32' || datatype === 'INT16';

/**
 * Mono samples, FP32 in [-1, 1] or INT16, as a 16-bit WAV file. Their rate is the tensor's parameter `sample_rate`, the
 * request's `input_sample_rate`, or what the pipeline asks for. Throws `INVALID_INPUT` naming the tensor.
 */
export function wavOf(tensor: InputTensor, asked: number | undefined, parameters: ParameterValues): Buffer {
  const { name, shape } = tensor;
  const extra = shape.length - 1;
  if (extra < 0 || shape.slice(0, extra).some((size) => size !== 1))
    throw badInput(name, `shape [${shape}] instead of [-1]: samples are mono`);
  const rate = tensor.parameters[RATE] ?? parameters[INPUT_RATE] ?? asked;
  if (rate === undefined) throw badInput(name, `samples need their rate in Hz: the tensor’s parameter ${RATE}`);
  if (typeof rate !== 'number' || !Number.isInteger(rate) || rate < LEAST_RATE || rate > MOST_RATE)
    throw badInput(name, `${RATE} must be a whole number of Hz from ${LEAST_RATE} to ${MOST_RATE}, not ${rate}`);
  const values = fromWire(tensor, invalidInput).data as readonly number[];
  const samples = tensor.datatype === 'INT16' ? Int16Array.from(values) : toInt16(clamp(Float32Array.from(values)));
  return Buffer.concat([...writeWav(samples, { sampleRate: rate })]);
}
