import { type OpenAI, toFile } from 'openai';
import { abortable } from '../../../media/abortable.js';
import { joinedInts } from '../../../media/samples.js';
import { writeWav } from '../../../media/write-wav.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { between } from '../between-texts.js';
import { SAMPLE_RATE, skip, windows } from '../speech-windows.js';
import { later, type Segment, type TimedText, timedTexts } from '../timed-segments.js';
import { extrasOf, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

/** 10 minutes in windows of 30 s: 19 MB as WAV, below the 25 MB that OpenAI and vLLM accept per file. */
const LONGEST_PART = 600 * SAMPLE_RATE;

/**
 * Speech recognition by `POST /v1/audio/transcriptions`, as 16-bit WAV at 16 kHz. Longer audio is sent in parts of at
 * most 10 minutes that end at a quiet moment. Progress is checkpointed after every part.
 */
export const transcribe: KindHandler = {
  async invoke(call, { client, signal, audio, emit, checkpoint, resumeFrom, options: pool }) {
    const { model, with: options, input } = call;
    const asked = { ...(options as Asked), extras: extrasOf(call, pool) };
    const start = progressOf(resumeFrom);
    let { sample, text } = start;
    const segments = [...start.segments];
    const samples = abortable(audio.read(input.audio as unknown as Artifact, { sampleRate: SAMPLE_RATE }), signal);
    for await (const part of parts(windows(skip(samples, sample)))) {
      signal.throwIfAborted();
      const { text: transcript, segments: found } = await transcriptOf(
        client,
        { model, samples: part, ...asked },
        signal,
      );
      segments.push(...found.map((each) => later(each, sample / SAMPLE_RATE)));
      const more = `${between(text, transcript)}${transcript}`;
      text += more;
      sample += part.length;
      emit(more);
      checkpoint({ sample, text, ...(asked.segments && { segments }) });
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

/** What a stage asks for. */
interface Asked {
  readonly language?: string;
  readonly segments?: 'segments' | 'words';
  readonly extras?: readonly (JsonObject | undefined)[];
}

interface Question extends Asked {
  readonly model: string;
  readonly samples: Int16Array;
}

async function transcriptOf(
  client: OpenAI,
  { model, samples, language, segments, extras = [] }: Question,
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly segments: readonly Segment[] }> {
  const wav = Buffer.concat([...writeWav(samples, { sampleRate: SAMPLE_RATE })]);
  const file = await toFile(wav, 'audio.wav', { type: 'audio/wav' });
  const body = {
    model,
    file,
    response_format: segments ? ('verbose_json' as const) : ('json' as const),
    ...(language !== undefined && { language }),
    ...(segments && { timestamp_granularities: segments === 'words' ? ['segment', 'word'] : ['segment'] }),
  };
  const sent = withExtra(body, ...extras) as OpenAI.Audio.TranscriptionCreateParamsNonStreaming;
  const answer = Object(await client.audio.transcriptions.create(sent, { signal })) as Answer;
  if (typeof answer.text !== 'string') throw new MillraceError('INVALID_OUTPUT', 'the answer has no text');
  return { text: answer.text.trim(), segments: segments ? segmentsIn(answer) : [] };
}

interface Answer {
  readonly text?: unknown;
  readonly segments?: unknown;
  readonly words?: unknown;
}

/** The segments with their words, which servers list beside them. Throws `INVALID_OUTPUT` for a server without times. */
function segmentsIn({ segments, words }: Answer): Segment[] {
  const all = timedTexts(segments, 'text');
  if (!all) throw new MillraceError('INVALID_OUTPUT', 'the answer has no segments with times');
  const spoken = timedTexts(words, 'word');
  if (!spoken) return all;
  // A word belongs to the segment in which its middle is.
  const middle = ({ start, end }: TimedText) => (start + end) / 2;
  return all.map((segment, i) => ({
    ...segment,
    words: spoken.filter((word) => {
      const at = middle(word);
      return at >= (i === 0 ? 0 : segment.start) && at < (all[i + 1]?.start ?? Number.POSITIVE_INFINITY);
    }),
  }));
}

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

/** Result of earlier attempts: samples recognised and their text. */
interface Progress {
  readonly sample: number;
  readonly text: string;
  readonly segments: readonly Segment[];
}

function progressOf(resumeFrom: Json | undefined): Progress {
  const { sample, text, segments = [] } = (resumeFrom ?? {}) as Partial<Progress>;
  return Number.isSafeInteger(sample) && typeof text === 'string'
    ? { sample: sample as number, text, segments }
    : { sample: 0, text: '', segments: [] };
}
