import { clamp, joinedInts, toInt16 } from '../../../../media/samples.js';
import { isSampleRate } from '../../../../media/wav-format.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { readInt16, type Tensor } from '../../../../protocols/open-inference/index.js';
import { passagesOf } from '../../speakable.js';
import { wrongOutput } from '../encode.js';
import { respond, type TensorContext, type TensorKind } from '../kind.js';
import type { Outputs } from '../model-tensors.js';
import { numbersOf } from '../numbers.js';
import { found, needed } from '../read.js';

/** Longest speech of a passage, in seconds: forty times as long as its text takes. A voice may go on without end. */
const LONGEST_SECONDS = 1_200;

/**
 * Speech synthesis. Long text is sent in requests of a few sentences, so that after a cancellation the server has at
 * most one of them to finish and no answer nears the message limit; the samples of each response are emitted as it
 * arrives. Text that is empty or white space is `INVALID_INPUT`.
 */
export const synthesize: TensorKind = {
  async invoke(call, context) {
    const { input, with: options } = call;
    const { text: _, ...given } = input;
    const passages = passagesOf(input);
    const spoken: Int16Array[] = [];
    let rate: number | undefined;
    for (const [i, text] of passages.entries()) {
      let length = 0;
      for await (const { outputs } of respond(
        call,
        context,
        { ...options, ...given, text, input: { ...given, text } },
        i === passages.length - 1,
      )) {
        rate = rateOf(context, outputs, rate);
        const [bound, tensor] = needed(context.map, 'audio', outputs);
        const part = samplesOf(tensor, bound.scale);
        length += part.length;
        if (length > LONGEST_SECONDS * rate)
          throw wrongOutput(bound.name, `more than ${LONGEST_SECONDS} s of speech for a passage`);
        spoken.push(part);
        context.emit(part.length);
      }
    }
    const samples = joinedInts(spoken);
    const name = context.map.outputs.get('audio')?.name ?? 'AUDIO';
    if (rate === undefined || samples.length === 0) throw wrongOutput(name, 'no samples');
    const artifact = await context.audio.write(samples, { sampleRate: rate });
    return { output: { audio: jsonOf(artifact) }, usage: { audioSeconds: samples.length / rate } };
  },
  example: { text: 'ok', voice: '' },
  given: { speed: 1, instructions: '' },
};

/** The rate of all responses: of a tensor, which the first one must have, or of the map. */
function rateOf({ map }: TensorContext, outputs: Outputs, before: number | undefined): number {
  const bound = map.outputs.get('sampleRate');
  if (bound && before !== undefined && !outputs.has(bound.name)) return before;
  const pair = found(map, 'sampleRate', outputs);
  const rate = pair ? (numbersOf(pair[1])[0] ?? 0) : (map.outputs.get('audio')?.sampleRate ?? 0);
  if (isSampleRate(rate) && (before === undefined || rate === before)) return rate;
  const name = bound?.name ?? map.outputs.get('audio')?.name ?? '';
  throw wrongOutput(
    name,
    pair ? `${rate} Hz after ${before ?? 'none'}` : 'its rate is unknown: give sampleRate in the tensor map',
  );
}

/** 16-bit samples of integers as they are, of floats in [-1, 1]. */
function samplesOf(tensor: Tensor, scale = 1): Int16Array {
  if (tensor.datatype === 'INT16' && scale === 1) return readInt16(tensor);
  const full = tensor.datatype === 'INT16' ? 1 / 32_767 : 1;
  return toInt16(clamp(Float32Array.from(numbersOf(tensor), (value) => value * scale * full)));
}

const jsonOf = (artifact: Artifact): JsonObject => ({ ...artifact }) as JsonObject;
