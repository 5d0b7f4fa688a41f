import type { OpenAI } from 'openai';
import { toFile } from 'openai/core/uploads';
import { writeWav } from '../../../media/write-wav.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import { SAMPLE_RATE } from '../speech-windows.js';
import { type Segment, type TimedText, timedTexts } from '../timed-segments.js';
import { withExtra } from './extra.js';
import type { OpenAiOptions, ServerSoftware } from './options.js';
import { type StreamedTranscript, streamed } from './transcript-stream.js';

/** What a stage asks for. */
export interface Asked {
  readonly language?: string;
  readonly prompt?: string;
  readonly segments?: 'segments' | 'words';
}

export interface Question extends Asked, Partial<Pick<OpenAiOptions, 'segmentsBy' | 'streamTranscripts'>> {
  readonly model: string;
  readonly software?: ServerSoftware;
  /** 16 kHz. */
  readonly samples: Int16Array;
  readonly extras?: readonly (JsonObject | undefined)[];
}

export interface Transcript {
  readonly text: string;
  /** With times from the start of the samples; empty unless the stage asks for them. */
  readonly segments: readonly Segment[];
}

/** Called with the text that a server has streamed so far, and with each segment and its number in the samples. */
interface OnMore {
  text(text: string): void;
  segment(segment: Segment, number: number): void;
}

/**
 * `POST /v1/audio/transcriptions` of one file.
 * @param onMore called with what there is so far, where the server streams it
 */
export async function transcriptOf(
  client: OpenAI,
  question: Question,
  signal: AbortSignal,
  onMore: Partial<OnMore> = {},
): Promise<Transcript> {
  const { samples, segments, streamTranscripts, extras = [] } = question;
  const wav = Buffer.concat([...writeWav(samples, { sampleRate: SAMPLE_RATE })]);
  const file = await toFile(wav, 'audio.wav', { type: 'audio/wav' });
  const body = withExtra({ file, ...membersOf(question) }, ...extras);
  const answer: StreamedTranscript =
    streamTranscripts && isStreamable(question)
      ? await streamed(client, body, signal, {
          text: (text) => onMore.text?.(text),
          segment(raw, i) {
            if (!segments || !onMore.segment) return;
            for (const each of segmentsIn({ segments: [raw] })) onMore.segment(each, i);
          },
        })
      : Object(await client.audio.transcriptions.create(body as unknown as Plain, { signal }));
  if (typeof answer.text !== 'string') throw new MillraceError('INVALID_OUTPUT', 'the answer has no text');
  return { text: answer.text.trim(), segments: segments ? segmentsIn(answer) : [] };
}

type Plain = OpenAI.Audio.TranscriptionCreateParamsNonStreaming;

/** OpenAI’s server streams texts and segments with speakers, but not `verbose_json`; vLLM texts alone. */
const isStreamable = ({ segments, segmentsBy, software }: Question): boolean =>
  segments === undefined || (segmentsBy === 'diarized_json' && software !== 'vllm');

function membersOf({ model, language, prompt, segments, segmentsBy = 'verbose_json', software }: Question) {
  const own = { model, ...(language !== undefined && { language }), ...(prompt !== undefined && { prompt }) };
  if (!segments) return { ...own, response_format: 'json' };
  if (segmentsBy === 'diarized_json') {
    // OpenAI needs a strategy for more than 30 s; vLLM has no such member.
    return { ...own, response_format: segmentsBy, ...(software !== 'vllm' && { chunking_strategy: 'auto' }) };
  }
  const granularities = segments === 'words' ? ['segment', 'word'] : ['segment'];
  return { ...own, response_format: segmentsBy, timestamp_granularities: granularities };
}

/**
 * The segments with their speakers, and with their words, which servers list beside them. Throws `INVALID_OUTPUT` for a server
 * without times.
 */
function segmentsIn({ segments, words }: StreamedTranscript): Segment[] {
  const all = timedTexts(segments, 'text');
  if (!all) throw new MillraceError('INVALID_OUTPUT', 'the answer has no segments with times');
  const speakers = (segments as readonly unknown[]).map((each) => (isJsonObject(each) ? each.speaker : undefined));
  const spoken = timedTexts(words, 'word');
  // A word belongs to the segment in which its middle is.
  const middle = ({ start, end }: TimedText) => (start + end) / 2;
  return all.map((segment, i) => {
    const speaker = speakers[i];
    const own = spoken?.filter((word) => {
      const at = middle(word);
      return at >= (i === 0 ? 0 : segment.start) && at < (all[i + 1]?.start ?? Number.POSITIVE_INFINITY);
    });
    return { ...segment, ...(typeof speaker === 'string' && { speaker }), ...(own && { words: own }) };
  });
}
