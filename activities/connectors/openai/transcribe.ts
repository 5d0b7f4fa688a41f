import { abortable } from '../../../media/abortable.js';
import { joinedInts } from '../../../media/samples.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import { GrowingText } from '../growing-text.js';
import { SAMPLE_RATE, skip, windows } from '../speech-windows.js';
import { later, type Segment } from '../timed-segments.js';
import { extrasOf } from './extra.js';
import type { KindHandler } from './kind-handler.js';
import type { OpenAiOptions, ServerSoftware } from './options.js';
import { type Asked, transcriptOf } from './transcript.js';

/** 10 minutes in windows of 30 s: 19 MB as WAV, below the 25 MB that OpenAI and vLLM accept per file. */
const LONGEST_PART = 600 * SAMPLE_RATE;

/**
 * Speech recognition by `POST /v1/audio/transcriptions`, as 16-bit WAV at 16 kHz. Longer audio is sent in parts of at
 * most 10 minutes that end at a quiet moment. Progress is checkpointed after every part.
 */
export const transcribe: KindHandler = {
  async invoke(call, context) {
    const { client, signal, audio, emit, segments: told, checkpoint, resumeFrom, options: pool, software } = context;
    const { model, with: options, input } = call;
    const { audio: recording, ...given } = input;
    const asked = { ...options, ...given } as Asked;
    expectTimes(asked, pool, software);
    const { segmentsBy, streamTranscripts } = pool;
    const question = { model, software, ...asked, segmentsBy, streamTranscripts, extras: extrasOf(call, pool) };
    const start = progressOf(resumeFrom);
    let { sample, text, part: number } = start;
    const segments = [...start.segments];
    // The first ones: those that are told below are numbered behind them.
    if (segments.length > 0) told?.(0, segments);
    const samples = abortable(audio.read(recording as unknown as Artifact, { sampleRate: SAMPLE_RATE }), signal);
    for await (const part of parts(windows(skip(samples, sample)))) {
      signal.throwIfAborted();
      const growing = new GrowingText(text, emit);
      number += 1;
      const placed = (each: Segment) => ofPart(later(each, sample / SAMPLE_RATE), number, pool);
      const found = await transcriptOf(client, { ...question, samples: part }, signal, {
        text: (said) => growing.is(said),
        segment: (heard, i) => told?.(segments.length + i, [placed(heard)]),
      });
      segments.push(...found.segments.map(placed));
      if (asked.segments) told?.(0, segments);
      text += growing.ends(found.text);
      sample += part.length;
      // A copy: what was checkpointed does not change.
      checkpoint({ sample, text, ...(asked.segments && { segments: [...segments], part: number }) });
    }
    return {
      output: { text, ...(asked.segments && { segments }) },
      usage: { audioSeconds: (sample - start.sample) / SAMPLE_RATE },
    };
  },
  /** A second of silence: OpenAI refuses less than a tenth of one. */
  async probe(model, client, signal) {
    await transcriptOf(client, { model, samples: new Int16Array(SAMPLE_RATE) }, signal);
  },
};

/** Throws `CAPABILITY_MISSING` for words of a format, or of a server, that has none. */
function expectTimes({ segments }: Asked, { segmentsBy }: OpenAiOptions, software: ServerSoftware): void {
  if (segments !== 'words') return;
  // It takes `timestamp_granularities` and does nothing with them (vllm/entrypoints/speech_to_text/base/serving.py).
  if (software === 'vllm') {
    throw new MillraceError('CAPABILITY_MISSING', 'vLLM has no times of words: ask for segments: "segments"');
  }
  if (segmentsBy !== 'diarized_json') return;
  const message =
    'diarized_json has no times of words: ask for segments: "segments", or set the pool’s segmentsBy to verbose_json';
  throw new MillraceError('CAPABILITY_MISSING', message);
}

/** Speakers are told apart within one request: in later parts their labels get the number of the part, `A/2`. */
const ofPart = (segment: Segment, part: number, { segmentsBy }: OpenAiOptions): Segment =>
  segment.speaker === undefined || part === 1 || segmentsBy !== 'diarized_json'
    ? segment
    : { ...segment, speaker: `${segment.speaker}/${part}` };

/** Joins windows into parts of at most the maximum length, as 16-bit samples. */
async function* parts(pieces: AsyncIterable<Float32Array>): AsyncGenerator<Int16Array, void> {
  let held: Int16Array[] = [];
  let length = 0;
  for await (const piece of pieces) {
    if (length > 0 && length + piece.length > LONGEST_PART) {
      yield joinedInts(held);
      held = [];
      length = 0;
    }
    held.push(Int16Array.from(piece, (value) => Math.round(value * 0x7fff)));
    length += piece.length;
  }
  if (length > 0) yield joinedInts(held);
}

/** Result of earlier attempts: samples recognised and their text, and the number of parts. */
interface Progress {
  readonly sample: number;
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly part: number;
}

function progressOf(resumeFrom: Json | undefined): Progress {
  const { sample, text, segments = [], part = 1 } = (resumeFrom ?? {}) as Partial<Progress>;
  return Number.isSafeInteger(sample) && typeof text === 'string'
    ? { sample: sample as number, text, segments, part }
    : { sample: 0, text: '', segments: [], part: 0 };
}
