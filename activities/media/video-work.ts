import {
  decodedSize,
  type FfmpegBench,
  ffmpegOver,
  type MediaFacts,
  MOST_PIXELS,
  probeMedia,
  sizedWav,
  withImage,
} from '../../media/index.js';
import { invalidMedia } from '../../media/wav-format.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { FRAMES, VIDEO_SIDE } from '../../pipelines/stages/option-bounds.js';
import { imageBytes } from './image-work.js';
import { jpegsOf } from './jpegs.js';
import { artifactIn, type Operation, refuseLarge, store, whole, wholeNumber } from './operation.js';

/** The length and the tracks of a file; of an image its size. */
export const probe: Operation = async ({ input, bench }) => {
  const file = artifactIn(input, 'media');
  if (!file.mime.startsWith('image/')) return (await probeMedia(file, bench)) as unknown as JsonObject;
  return withImage(await imageBytes(file, bench), bench, async (image) => {
    const { format, autoOrient } = await image.metadata();
    return { video: { codec: String(format), width: autoOrient.width, height: autoOrient.height } };
  });
};

export const frames: Operation = async ({ input, options, bench }) => {
  const video = artifactIn(input, 'video');
  const most = wholeNumber(options, 'most', FRAMES.most) ?? 16;
  const width = wholeNumber(options, 'width', FRAMES.width) ?? 1_280;
  const wanted = wholeNumber(options, 'everyMs', FRAMES.everyMs) ?? 2_000;
  const { durationMs } = await pictured(video, bench);
  const everyMs = Math.max(wanted, Math.ceil(durationMs / most));
  // What is on the screen at each time. By default, `fps` shows what comes up to half an interval later.
  const chosen = `fps=fps=1000/${everyMs}:round=up`;
  const filter = `setpts=PTS-STARTPTS,${chosen},scale='min(${width},iw)':-2:flags=bilinear`;
  const output = [
    '-vf',
    filter,
    '-frames:v',
    String(most),
    '-c:v',
    'mjpeg',
    '-q:v',
    '3',
    '-pix_fmt',
    'yuvj420p',
    '-fps_mode',
    'passthrough',
  ];
  const made = ffmpegOver(
    [video],
    { maps: ['0:v:0'], output: [...output, '-threads', '1', '-f', 'image2pipe'] },
    bench,
  );
  const found: Json[] = [];
  for await (const jpeg of jpegsOf(made)) {
    found.push({ image: await store(bench, 'image', whole(jpeg)), atMs: found.length * everyMs });
  }
  if (found.length === 0) throw invalidMedia('the video has no frame that can be decoded');
  return { frames: found };
};

/** The sound of a video, at its own rate. */
export const sound: Operation = async ({ input, bench }) => {
  const video = artifactIn(input, 'video');
  const { audio } = await probeMedia(video, bench);
  if (!audio) throw invalidMedia('the video has no audio track');
  const output = ['-ac', '1', '-c:a', 'pcm_s16le', '-f', 'wav'];
  const decoded = () => ffmpegOver([video], { maps: ['0:a:0'], output }, bench);
  return { audio: await store(bench, 'audio', await sizedWav(decoded)) };
};

export const clip: Operation = async ({ input, bench }) => {
  const video = artifactIn(input, 'video');
  const { durationMs } = await pictured(video, bench);
  const [from, to] = spanOf(input, durationMs);
  const cut = ['-ss', seconds(from), '-t', seconds(to - from)];
  return { video: await encoded([video], [...cut, '-vf', EVEN], bench) };
};

/** The part of a recording that is wanted, in milliseconds. Throws `INVALID_INPUT` for one that is empty. */
export function spanOf({ startMs = 0, endMs }: JsonObject, durationMs: number): readonly [from: number, to: number] {
  const from = Number(startMs);
  const to = Math.min(endMs === undefined ? durationMs : Number(endMs), durationMs);
  if (from < to) return [from, to];
  const message = `${from} ms to ${to} ms is no part of ${durationMs} ms`;
  throw invalidField('startMs', message);
}

export const resizeVideo: Operation = async ({ input, options, bench }) => {
  const video = artifactIn(input, 'video');
  const [width, height] = [wholeNumber(options, 'width', VIDEO_SIDE), wholeNumber(options, 'height', VIDEO_SIDE)];
  if (width === undefined && height === undefined) throw invalidField('width', 'or height must be given');
  await pictured(video, bench);
  const both = width !== undefined && height !== undefined;
  const source = both ? { width, height } : await decodedSize(video, bench);
  refuseLarge('video', { width, height }, source, { side: VIDEO_SIDE.most, pixels: MOST_PIXELS });
  const scale = `scale=${sideOf(width, 'iw', height, 'ih')}:${sideOf(height, 'ih', width, 'iw')}`;
  return { video: await encoded([video], ['-vf', scale], bench) };
};

/**
 * A side for ffmpeg's `scale`: even, as H.264 with 4:2:0 colour needs it. One that is not wanted follows from the other by
 * the proportions of each frame. It is bounded here too: the size of the frames may change within a video.
 */
function sideOf(wanted: number | undefined, own: 'iw' | 'ih', other = 0, otherOwn: 'iw' | 'ih'): string {
  if (wanted !== undefined) return String(even(wanted));
  const most = even(Math.min(VIDEO_SIDE.most, Math.floor(MOST_PIXELS / even(other))));
  return `'clip(2*round(${even(other)}*${own}/${otherOwn}/2),2,${most})'`;
}

const even = (side: number): number => side - (side % 2);

export const mux: Operation = async ({ input, bench }) => {
  const files = [artifactIn(input, 'video'), artifactIn(input, 'audio')] as const;
  await pictured(files[0], bench);
  return { video: await encoded([...files], ['-vf', EVEN, '-shortest'], bench, ['0:v:0', '1:a:0']) };
};

/** H.264 with 4:2:0 colour has even sides only. */
const EVEN = 'scale=trunc(iw/2)*2:trunc(ih/2)*2';

/** An MP4 of H.264 and AAC, in fragments: it is written to a pipe, so its index cannot come first. */
function encoded(
  files: readonly [Artifact, ...Artifact[]],
  options: readonly string[],
  bench: FfmpegBench,
  maps: readonly string[] = ['0:v:0', '0:a:0?'],
): Promise<Json> {
  const output = [
    ...options,
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', '-pix_fmt', 'yuv420p', '-threads', '1'],
    ...['-c:a', 'aac', '-b:a', '128k', '-movflags', '+frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4'],
  ];
  return store(bench, 'video', ffmpegOver(files, { maps, output }, bench));
}

/** What a video holds. Throws `INVALID_MEDIA` if it has no picture. */
async function pictured(file: Artifact, bench: FfmpegBench): Promise<MediaFacts> {
  const facts = await probeMedia(file, bench);
  if (facts.video) return facts;
  throw invalidMedia('the file has no video track');
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(3);
