import { availableParallelism } from 'node:os';
import type { Artifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { ENCODINGS, encodingOf } from './encodings.js';
import { codeOf, type FfmpegInput, throughFfmpeg } from './ffmpeg-process.js';
import { indexFirst } from './mp4-order.js';
import { Semaphore } from './semaphore.js';
import { invalidMedia } from './wav-format.js';

/** Where work on media gets its files and its program. */
export interface FfmpegBench {
  readonly store: ArtifactStore;
  readonly tenant: string;
  /** A path, or a name on PATH. */
  readonly program: string;
  readonly signal: AbortSignal;
}

/** Longest work of one ffmpeg, in milliseconds, whatever the stage's timeout is: half an hour of video at real time. */
const LONGEST_MS = 30 * 60_000;
/** Longest time without output, in milliseconds: of a long video, frames may be minutes of decoding apart. */
const SILENCE_MS = 5 * 60_000;
/** ffmpeg processes of this kind at once. */
const AT_ONCE = new Semaphore(availableParallelism());

/** ffmpeg's demuxer by media type: those of audio, and of the containers that hold videos only. */
const DEMUXERS: Readonly<Record<string, string>> = { 'video/x-matroska': 'matroska', 'video/x-msvideo': 'avi' };

const demuxerOf = (mime: string): string | undefined => {
  const encoding = encodingOf(mime);
  return encoding === undefined ? DEMUXERS[mime] : (ENCODINGS[encoding].demuxer ?? encoding);
};

/**
 * Runs ffmpeg over artifacts and streams its output. Files reach it by pipes only, with a fixed demuxer. Throws `INVALID_MEDIA` for what it cannot decode, for pictures of
 * more pixels than 4K has and after half an hour of work, `CONVERSION_UNAVAILABLE` without ffmpeg or an encoder,
 * `STORE_UNAVAILABLE` and the signal's reason. The process has ended when the generator has.
 *
 * @param maps streams of the output, as ffmpeg's `-map` names them
 * @param output ffmpeg's options of the output
 */
export async function* ffmpegOver(
  files: readonly [Artifact, ...Artifact[]],
  { maps, output }: { readonly maps: readonly string[]; readonly output: readonly string[] },
  { store, tenant, program, signal }: FfmpegBench,
): AsyncGenerator<Uint8Array, void> {
  const inputs: FfmpegInput[] = [];
  for (const file of files) {
    // The store's own account: what the run says of the file is not trusted.
    const { uri, mime, bytes } = await store.stat(tenant, file.uri);
    const demuxer = demuxerOf(mime);
    if (demuxer === undefined) throw invalidMedia(`${uri} is ${mime}, which is no audio or video that Millrace reads`);
    const read = (range?: { readonly start: number; readonly end: number }) => store.read(tenant, uri, range);
    inputs.push({ bytes: demuxer === 'mov' ? indexFirst(read, bytes) : read(), options: ['-f', demuxer] });
  }
  const [first, ...others] = inputs as [FfmpegInput, ...FfmpegInput[]];
  await AT_ONCE.acquire(signal);
  // Begins with the work: waiting for other files is not this one's fault.
  const late = AbortSignal.timeout(LONGEST_MS);
  try {
    const job = { input: first.options, maps, output, others };
    const options = { program, signal: AbortSignal.any([signal, late]), silenceMs: SILENCE_MS };
    const end = yield* throughFfmpeg(first.bytes, job, options);
    if (end.kind === 'done') return;
    if (end.kind === 'absent') throw unavailable(`"${program}" cannot be started here (${codeOf(end.error)})`);
    const seconds = SILENCE_MS / 1_000;
    if (end.kind === 'silent' && end.starved)
      throw new MillraceError('STORE_UNAVAILABLE', `the store sent no data of ${files[0].uri} for ${seconds} s`);
    const why =
      end.kind === 'silent' ? `no output for ${seconds} s` : end.complaint || `ffmpeg exited with ${end.exit}`;
    if (/unknown encoder|encoder not found/i.test(why)) throw unavailable(`"${program}" lacks an encoder (${why})`);
    throw invalidMedia(`the file cannot be processed: ${why}`);
  } catch (error) {
    if (late.aborted && !signal.aborted) throw invalidMedia('the file takes more than half an hour to process');
    throw error;
  } finally {
    AT_ONCE.release();
  }
}

const unavailable = (why: string) =>
  new MillraceError(
    'CONVERSION_UNAVAILABLE',
    `work on audio and video needs ffmpeg, and ${why}: install ffmpeg with libx264 on the worker, or set MILLRACE_FFMPEG`,
  );
