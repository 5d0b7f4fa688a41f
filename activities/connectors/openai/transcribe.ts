import { type OpenAI, toFile } from 'openai';
import { abortable } from '../../../media/abortable.js';
import { writeWav } from '../../../media/write-wav.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import { SAMPLE_RATE, skip, windows } from '../speech-windows.js';
import type { KindHandler } from './kind-handler.js';

/** 10 minutes in windows of 30 s: 19 MB as WAV, below the 25 MB that OpenAI and vLLM accept per file. */
const LONGEST_PART = 600 * SAMPLE_RATE;

/**
 * Speech recognition by `POST /v1/audio/transcriptions`, as 16-bit WAV at 16 kHz. Longer audio is sent in parts of at
 * most 10 minutes that end at a quiet moment. Progress is checkpointed after every part.
 */
export const transcribe: KindHandler = {
  async invoke({ model, input }, { client, signal, audio, emit, checkpoint, resumeFrom }) {
    const start = progressOf(resumeFrom);
    let { sample, text } = start;
    const samples = abortable(audio.read(input.audio as unknown as Artifact, { sampleRate: SAMPLE_RATE }), signal);
    for await (const part of parts(windows(skip(samples, sample)))) {
      signal.throwIfAborted();
      const transcript = await transcriptOf(client, model, part, signal);
      const more = [text, transcript].every((each) => each !== '') ? ` ${transcript}` : transcript;
      text += more;
      sample += part.length;
      emit(more);
      checkpoint({ sample, text });
    }
    return { output: { text }, usage: { audioSeconds: (sample - start.sample) / SAMPLE_RATE } };
  },
  /** A second of silence: OpenAI refuses less than a tenth of one. */
  async probe(model, client, signal) {
    await transcriptOf(client, model, new Int16Array(SAMPLE_RATE), signal);
  },
};

async function transcriptOf(client: OpenAI, model: string, samples: Int16Array, signal: AbortSignal): Promise<string> {
  const wav = Buffer.concat([...writeWav(samples, { sampleRate: SAMPLE_RATE })]);
  const file = await toFile(wav, 'audio.wav', { type: 'audio/wav' });
  const answer: unknown = await client.audio.transcriptions.create(
    { model, file, response_format: 'json' },
    { signal },
  );
  const text = (answer as { readonly text?: unknown } | null)?.text;
  if (typeof text !== 'string') throw new MillraceError('INVALID_OUTPUT', 'the answer has no text');
  return text.trim();
}

/** Joins windows into parts of at most the maximum length, as 16-bit samples. */
async function* parts(pieces: AsyncIterable<Float32Array>): AsyncGenerator<Int16Array, void> {
  let held: Int16Array[] = [];
  let length = 0;
  for await (const piece of pieces) {
    if (length > 0 && length + piece.length > LONGEST_PART) {
      yield joined(held, length);
      held = [];
      length = 0;
    }
    held.push(Int16Array.from(piece, (value) => Math.round(value * 0x7fff)));
    length += piece.length;
  }
  if (length > 0) yield joined(held, length);
}

function joined(pieces: readonly Int16Array[], length: number): Int16Array {
  const whole = new Int16Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

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
