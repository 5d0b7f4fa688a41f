import { abortable } from '../../../media/abortable.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import type { Json } from '../../../pipelines/json.js';
import { fp32Tensor, readText, type Tensor } from '../../../protocols/open-inference/index.js';
import { SAMPLE_RATE, skip, windows } from '../speech-windows.js';
import { type KindHandler, probeWith } from './kind-handler.js';
import { outputOf } from './outputs.js';

/**
 * Speech recognition.
 *
 *     AUDIO  FP32   [1, samples]  mono at 16 kHz in [-1, 1]
 *     TEXT   BYTES  [1, 1]        UTF-8
 *
 * Audio is sent in windows of at most 30 s and their texts are joined. Progress is checkpointed after every window, and
 * its text emitted with the preceding space; the text is empty for a window without speech.
 */
export const transcribe: KindHandler = {
  async invoke({ model, input }, { client, signal, audio, emit, checkpoint, resumeFrom }) {
    const start = progressOf(resumeFrom);
    let { sample, text } = start;
    const samples = abortable(audio.read(input.audio as unknown as Artifact, { sampleRate: SAMPLE_RATE }), signal);
    for await (const window of windows(skip(samples, sample))) {
      const outputs = await client.infer(model, [audioTensor(window)], signal);
      const transcript = readText(outputOf(outputs, 'TEXT')).trim();
      const delta = text !== '' && transcript !== '' ? ` ${transcript}` : transcript;
      text += delta;
      sample += window.length;
      emit(delta);
      checkpoint({ sample, text });
    }
    return { output: { text }, usage: { audioSeconds: (sample - start.sample) / SAMPLE_RATE } };
  },
  /** A tenth of a second of silence. */
  probe: probeWith(() => [audioTensor(new Float32Array(SAMPLE_RATE / 10))]),
};

const audioTensor = (samples: Float32Array): Tensor => fp32Tensor('AUDIO', [1, samples.length], samples);

/** Result of earlier attempts: samples recognised and their text. */
interface Progress {
  readonly sample: number;
  readonly text: string;
}

function progressOf(resumeFrom: Json | undefined): Progress {
  const { sample, text } = (resumeFrom ?? {}) as Partial<Progress>;
  return Number.isSafeInteger(sample) && typeof text === 'string'
    ? { sample: sample as number, text }
    : { sample: 0, text: '' };
}
