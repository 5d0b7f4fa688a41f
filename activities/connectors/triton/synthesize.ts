import { isSampleRate } from '../../../media/wav-format.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { readInt16, readInt32, textTensor } from '../../../protocols/open-inference/index.js';
import { speakable } from '../speakable.js';
import { type KindHandler, probeWith } from './kind-handler.js';
import { outputOf } from './outputs.js';

/**
 * Speech synthesis.
 *
 *     TEXT         BYTES  [1, 1]        UTF-8
 *     AUDIO        INT16  [1, samples]  mono
 *     SAMPLE_RATE  INT32  [1, 1]        Hz
 *
 * Long text is sent in calls of a few sentences, so that after a cancellation the server has at most one of them to
 * finish and no answer nears the message limit; the samples of each call are emitted as it ends. Text without a word is
 * `INVALID_INPUT`.
 */
export const synthesize: KindHandler = {
  async invoke({ model, input }, { client, signal, audio, emit }) {
    const passages = speakable(
      typeof input.text === 'string' ? input.text : (input.text as readonly string[]).join(' '),
    );
    if (passages.length === 0) {
      throw new MillraceError('INVALID_INPUT', 'there is nothing to say: the text is empty', {
        fields: [{ field: 'text', message: 'empty' }],
      });
    }
    const spoken: Int16Array[] = [];
    let rate: number | undefined;
    for (const words of passages) {
      const outputs = await client.infer(model, [textTensor('TEXT', [1, 1], words)], signal);
      const [sampleRate = 0] = readInt32(outputOf(outputs, 'SAMPLE_RATE'));
      if (!isSampleRate(sampleRate) || (rate !== undefined && sampleRate !== rate)) {
        throw new MillraceError(
          'INVALID_OUTPUT',
          `output tensor SAMPLE_RATE: ${sampleRate} Hz after ${rate ?? 'none'}`,
        );
      }
      rate = sampleRate;
      const passage = readInt16(outputOf(outputs, 'AUDIO'));
      spoken.push(passage);
      emit(passage.length);
    }
    const samples = concat(spoken);
    if (rate === undefined || samples.length === 0) {
      throw new MillraceError('INVALID_OUTPUT', 'output tensor AUDIO: no samples');
    }
    const artifact = await audio.write(samples, { sampleRate: rate });
    return { output: { audio: jsonOf(artifact) }, usage: { audioSeconds: samples.length / rate } };
  },
  probe: probeWith(() => [textTensor('TEXT', [1, 1], 'ok')]),
};

function concat(parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const jsonOf = (artifact: Artifact): JsonObject => ({ ...artifact }) as JsonObject;
