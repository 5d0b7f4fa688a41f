import { MillraceError } from '../pipelines/errors.js';
import type { AudioEncoding } from '../pipelines/media.js';
import { ENCODINGS } from './encodings.js';
import { codeOf, type FfmpegOptions, SILENCE_MS, throughFfmpeg } from './ffmpeg-process.js';
import { invalidMedia } from './wav-format.js';

export interface DecodeOptions extends FfmpegOptions {
  /** Told at the end what was wrong with a file that could be decoded all the same. */
  readonly onDamage?: ((text: string) => void) | undefined;
}

/** Complaints of a file whose rest cannot be reached; ffmpeg itself is content with what came before it. */
const CUT_SHORT = /error during demuxing|partial file/i;
/** Complaints of a build of ffmpeg that lacks the part for a format. */
const LACKING = /unknown input format|decoder .*not found|unknown decoder/i;

/**
 * Decodes the first audio track of a file by ffmpeg, as both stream by: a WAV of 32-bit float at the file's own rate and
 * channels, its size left open. Throws `CONVERSION_UNAVAILABLE` without ffmpeg, `INVALID_MEDIA` for what it cannot decode,
 * `STORE_UNAVAILABLE` when `bytes` gives nothing for half a minute, and whatever `bytes` throws. Damage that players
 * pass over, such as a broken frame, is told to `onDamage`.
 */
export async function* decodeByFfmpeg(
  bytes: AsyncIterable<Uint8Array>,
  encoding: Exclude<AudioEncoding, 'wav'>,
  { onDamage, ...options }: DecodeOptions,
): AsyncGenerator<Uint8Array, void> {
  const input = ['-f', ENCODINGS[encoding].demuxer ?? encoding];
  const end = yield* throughFfmpeg(bytes, { input, output: ['-c:a', 'pcm_f32le', '-f', 'wav'] }, options);
  const seconds = SILENCE_MS / 1_000;
  if (end.kind === 'absent')
    throw unavailable(encoding, `"${options.program}" cannot be started here (${codeOf(end.error)})`);
  if (end.kind === 'silent') {
    if (!end.starved) throw invalidMedia(`ffmpeg made nothing of the ${encoding} file for ${seconds} s`);
    throw new MillraceError('STORE_UNAVAILABLE', `the store gave nothing of the ${encoding} file for ${seconds} s`);
  }
  const { complaint } = end;
  if (end.kind === 'failed') {
    if (LACKING.test(complaint)) throw unavailable(encoding, `this build of it cannot read it (${complaint})`);
    throw invalidMedia(`the ${encoding} file cannot be decoded: ${complaint || `ffmpeg ended with ${end.exit}`}`);
  }
  if (CUT_SHORT.test(complaint)) throw invalidMedia(`the ${encoding} file is cut short: ${complaint}`);
  if (complaint !== '') onDamage?.(complaint);
}

const unavailable = (encoding: string, why: string) =>
  new MillraceError(
    'CONVERSION_UNAVAILABLE',
    `${encoding} audio is decoded by ffmpeg, and ${why}: install ffmpeg on the worker, set MILLRACE_FFMPEG, or send WAV`,
  );
