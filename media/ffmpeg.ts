import { MillraceError } from '../pipelines/errors.js';
import type { AudioEncoding } from '../pipelines/media.js';
import { ENCODINGS } from './encodings.js';
import { codeOf, type FfmpegOptions, SILENCE_MS, throughFfmpeg } from './ffmpeg-process.js';
import { invalidMedia } from './wav-format.js';

export interface DecodeOptions extends FfmpegOptions {
  /** Called at the end with the damage of a file that was decoded nevertheless. */
  readonly onDamage?: ((text: string) => void) | undefined;
}

/** Messages of ffmpeg about a file whose rest is unreachable; ffmpeg itself exits with success. */
const CUT_SHORT = /error during demuxing|partial file/i;
/** Messages of an ffmpeg build without support for a format. */
const LACKING = /unknown input format|decoder .*not found|unknown decoder/i;

/**
 * Decodes the first audio track of a file by ffmpeg while it streams: to a WAV of 32-bit float at the file's own rate
 * and channels, with an open size. Throws `CONVERSION_UNAVAILABLE` without ffmpeg, `INVALID_MEDIA` for a file that it
 * cannot decode, `STORE_UNAVAILABLE` if `bytes` yields nothing for 30 s, and the errors of `bytes`. Damage that players
 * tolerate, such as a broken frame, is reported to `onDamage`.
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
    if (!end.starved) throw invalidMedia(`ffmpeg produced no output from the ${encoding} file for ${seconds} s`);
    throw new MillraceError('STORE_UNAVAILABLE', `the store sent no data of the ${encoding} file for ${seconds} s`);
  }
  const { complaint } = end;
  if (end.kind === 'failed') {
    if (LACKING.test(complaint)) throw unavailable(encoding, `this build does not support it (${complaint})`);
    throw invalidMedia(`the ${encoding} file cannot be decoded: ${complaint || `ffmpeg exited with ${end.exit}`}`);
  }
  if (CUT_SHORT.test(complaint)) throw invalidMedia(`the ${encoding} file is cut short: ${complaint}`);
  if (complaint !== '') onDamage?.(complaint);
}

const unavailable = (encoding: string, why: string) =>
  new MillraceError(
    'CONVERSION_UNAVAILABLE',
    `decoding ${encoding} needs ffmpeg, and ${why}: install ffmpeg on the worker, set MILLRACE_FFMPEG, or send WAV`,
  );
