import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';

const span = { start: z.number().min(0), end: z.number().min(0), text: z.string() };
const segments = z.array(
  z.looseObject({ ...span, speaker: z.string().optional(), words: z.array(z.object(span)).optional() }),
);

/** A part of a transcript: times in seconds from the start of the audio, as in the output of a `transcribe` stage. */
export type TranscriptSegment = z.output<typeof segments>[number];

/** Throws `INVALID_OUTPUT` for a field that has not the form of `transcribe`’s `segments`. */
export function segmentsIn(field: Json | undefined): TranscriptSegment[] {
  const read = segments.safeParse(field ?? []);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const where = ['segments', ...(issue?.path ?? [])].join('.');
  throw new MillraceError('INVALID_OUTPUT', `"${where}" of the pipeline’s output: ${issue?.message ?? 'is no list'}`);
}

/**
 * What Whisper tells of a segment beside its text and times. Clients with types refuse a segment without it; of a pipeline that does not know
 * it, these values mark no segment as doubtful; they are no measurement.
 */
const UNKNOWN = { seek: 0, tokens: [], temperature: 0, avg_logprob: 0, compression_ratio: 1, no_speech_prob: 0 };

/** The same segments as `verbose_json` has them: numbered, with all words in a list of their own. */
export function verboseSegments(list: readonly TranscriptSegment[]) {
  const words = list.flatMap(({ words = [] }) => words.map(({ text, ...times }) => ({ word: text, ...times })));
  return {
    segments: list.map(({ words, ...segment }, id) => ({ id, ...UNKNOWN, ...segment })),
    ...(words.length > 0 && { words }),
  };
}

/** Whether none of the segments that say something has the times of its words. */
export function lackWords(list: readonly TranscriptSegment[]): boolean {
  const said = spoken(list);
  return said.length > 0 && said.every(({ words = [] }) => words.length === 0);
}

/** SubRip subtitles: a numbered cue per segment. */
export const srt = (list: readonly TranscriptSegment[]): string =>
  spoken(list)
    .map(({ start, end, speaker, text }, i) => {
      const line = speaker === undefined ? oneLine(text) : `${oneLine(speaker)}: ${oneLine(text)}`;
      return `${i + 1}\n${time(start, ',')} --> ${time(end, ',')}\n${line}\n\n`;
    })
    .join('');

/** WebVTT (W3C, https://www.w3.org/TR/webvtt1/): a cue per segment, its speaker as a voice span. */
export const vtt = (list: readonly TranscriptSegment[]): string => {
  const cues = spoken(list).map(({ start, end, speaker, text }) => {
    const voice = speaker === undefined ? '' : `<v ${escaped(oneLine(speaker))}>`;
    return `${time(start, '.')} --> ${time(end, '.')}\n${voice}${escaped(oneLine(text))}\n\n`;
  });
  return `WEBVTT\n\n${cues.join('')}`;
};

/** A cue without a text would end where the next one begins. */
const spoken = (list: readonly TranscriptSegment[]) => list.filter(({ text }) => text.trim() !== '');

/** A blank line would end the cue. */
const oneLine = (text: string): string => text.trim().replaceAll(/\s+/g, ' ');

/** Of WebVTT’s cue text; `>` as well, so that no text looks like the arrow between two times. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** `01:02:03` and milliseconds after the mark. */
function time(seconds: number, mark: ',' | '.'): string {
  const ms = Math.round(seconds * 1_000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const whole = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1_000) % 60].map(two).join(':');
  return `${whole}${mark}${String(ms % 1_000).padStart(3, '0')}`;
}
