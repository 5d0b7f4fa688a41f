import { availableParallelism } from 'node:os';
import type { Artifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import { FairSlots } from '../runtime/fair-slots.js';
import { timeLimit } from '../runtime/limited.js';
import { tooManyWait, waitedTooLong } from '../runtime/waiting-room.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { ENCODINGS, encodingOf } from './encodings.js';
import { codeOf, type FfmpegInput, throughFfmpeg } from './ffmpeg-process.js';
import { indexFirst } from './mp4-order.js';
import { invalidMedia } from './wav-format.js';

/** Where work on media gets its files and its program. */
export interface FfmpegBench {
  readonly store: ArtifactStore;
  readonly tenant: string;
  /** A path, or a name on PATH. */
  readonly program: string;
  readonly signal: AbortSignal;
  /** What the caller has and others need, given up while the work waits for its turn. Absent: nothing. */
  readonly slot?: GivenUp;
  /** Longest wait for it when the work has its place, in milliseconds. Absent: five seconds. */
  readonly slotMs?: number;
}

interface GivenUp {
  /** Gives it up; false if the caller has to keep it. */
  leave(): boolean;
  /** Resolves when the caller has it again. Rejects with the signal's reason only. */
  take(signal: AbortSignal): Promise<void>;
}

/** Longest work of one ffmpeg, in milliseconds, whatever the stage's timeout is: half an hour of video at real time. */
const LONGEST_MS = 30 * 60_000;
/** Longest time without output, in milliseconds: of a long video, frames may be minutes of decoding apart. */
const SILENCE_MS = 5 * 60_000;

/**
 * Longest wait for the slot of the caller, in milliseconds. The place idles during it, and other work gives up after a minute of waiting for a place. An
 * attempt that goes back to its queue begins again with a slot, and needs only the place then.
 */
const SLOT_MS = 5_000;

const CORES = availableParallelism();
const PLACE = 'place for ffmpeg';
const SLOT = 'slot of the worker for work on media';
/**
 * ffmpeg processes of this kind at once. Each keeps a core busy, so a tenant has as many as there are cores; half as many more are for others, which
 * would otherwise wait until a video is encoded. The wait is a tenth of the time that an attempt has by default: an attempt that waits longer goes
 * back to its queue.
 */
const PLACES = new FairSlots(CORES + Math.ceil(CORES / 2), CORES, { ms: 60_000, what: PLACE });

/** ffmpeg's demuxer by media type: those of audio, and of the containers that hold videos only. */
const DEMUXERS: Readonly<Record<string, string>> = { 'video/x-matroska': 'matroska', 'video/x-msvideo': 'avi' };

const demuxerOf = (mime: string): string | undefined => {
  const encoding = encodingOf(mime);
  return encoding === undefined ? DEMUXERS[mime] : (ENCODINGS[encoding].demuxer ?? encoding);
};

/**
 * Runs ffmpeg over artifacts and streams its output. Files reach it by pipes only, with a fixed demuxer. Throws `INVALID_MEDIA` for what it cannot decode, for pictures of
 * more pixels than 4K has and after half an hour of work, `CONVERSION_UNAVAILABLE` without ffmpeg or an encoder,
 * `STORE_UNAVAILABLE`, `OVERLOADED` (nothing was done) if too much work of the tenant waits, this has waited for a minute, or the
 * slot that it gave up is not free within five seconds, and the signal's reason.
 * The process has ended when the generator has.
 *
 * @param maps streams of the output, as ffmpeg's `-map` names them
 * @param output ffmpeg's options of the output
 */
export async function* ffmpegOver(
  files: readonly [Artifact, ...Artifact[]],
  { maps, output }: { readonly maps: readonly string[]; readonly output: readonly string[] },
  { store, tenant, program, signal, slot, slotMs = SLOT_MS }: FfmpegBench,
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
  const leave = await PLACES.acquire(tenant, signal, () => {
    if (slot?.leave() === false) throw tooManyWait(`a ${PLACE}`);
  });
  let late: AbortSignal | undefined;
  try {
    if (slot) await takeAgain(slot, signal, slotMs);
    // Begins with the work: waiting for other files is not this one’s fault.
    late = AbortSignal.timeout(LONGEST_MS);
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
    if (late?.aborted && !signal.aborted) throw invalidMedia('the file takes more than half an hour to process');
    throw error;
  } finally {
    leave();
  }
}

/** Has the caller’s slot again. Throws `OVERLOADED` if it is not free in time, and the signal’s reason. */
async function takeAgain(slot: GivenUp, signal: AbortSignal, ms: number): Promise<void> {
  const limit = timeLimit(ms, signal);
  try {
    await slot.take(limit.signal);
  } catch (error) {
    // The reason may be the lateness of another work of the same attempt, which waits for the same slot.
    throw signal.aborted ? error : waitedTooLong(SLOT, ms);
  } finally {
    limit.release();
  }
}

const unavailable = (why: string) =>
  new MillraceError(
    'CONVERSION_UNAVAILABLE',
    `work on audio and video needs ffmpeg, and ${why}: install ffmpeg with libx264 on the worker, or set MILLRACE_FFMPEG`,
  );
