import type { Artifact } from '../pipelines/artifact.js';
import { type FfmpegBench, ffmpegOver } from './ffmpeg-work.js';
import { invalidMedia } from './wav-format.js';

/** The first picture and the first sound of a file, as its container describes them. */
export interface MediaFacts {
  readonly durationMs: number;
  readonly video?: {
    readonly codec: string;
    readonly width: number;
    readonly height: number;
    readonly frameRate?: number;
  };
  readonly audio?: { readonly codec: string; readonly sampleRate?: number; readonly channels?: number };
}

/** Longest line of the output that is read. */
const LONGEST_LINE = 4_096;
/** Longest video or recording, in milliseconds. */
const LONGEST_MS = 4 * 3_600_000;

const CHANNELS: Readonly<Record<string, number>> = { mono: 1, stereo: 2, '5.1': 6, '5.1(side)': 6, '7.1': 8, quad: 4 };

interface Track {
  kind: string;
  codec: string;
  /** Seconds per unit of time. */
  unit: number;
  width: number;
  height: number;
  sampleRate: number | undefined;
  channels: number | undefined;
  start: number;
  end: number;
  packets: number;
}

/**
 * Reads what a file holds, without decoding it: ffmpeg's `framecrc` muxer prints a header for each stream and a line for each
 * packet (https://ffmpeg.org/ffmpeg-formats.html#framecrc). So lengths are those of the packets, whatever the container
 * claims. Throws `INVALID_MEDIA` for more than four hours and as `ffmpegOver` does.
 */
export async function probeMedia(file: Artifact, bench: FfmpegBench): Promise<MediaFacts> {
  const all = await tracksOf(file, { maps: ['0:v:0?', '0:a:0?'], output: ['-c', 'copy'] }, bench);
  if (all.length === 0) throw invalidMedia('the file has neither a video nor an audio track');
  const timed = all.filter(({ end }) => Number.isFinite(end));
  if (timed.length === 0) throw invalidMedia('the packets of the file have no times');
  const seconds =
    Math.max(...timed.map(({ end, unit }) => end * unit)) - Math.min(...timed.map(({ start, unit }) => start * unit));
  const durationMs = Math.round(seconds * 1_000);
  if (!(durationMs <= LONGEST_MS))
    throw invalidMedia(`the file is ${durationMs} ms long; at most ${LONGEST_MS} are processed`);
  const [video, audio] = ['video', 'audio'].map((kind) => all.find((track) => track.kind === kind));
  return {
    durationMs,
    ...(video && { video: pictureOf(video) }),
    ...(audio && { audio: soundOf(audio) }),
  };
}

/**
 * The size in pixels at which a video's first frame is decoded. The container may name another, and videos of telephones
 * are stored lying on their side. Throws `INVALID_MEDIA` without a frame that can be decoded and as `ffmpegOver` does.
 */
export async function decodedSize(
  file: Artifact,
  bench: FfmpegBench,
): Promise<{ readonly width: number; readonly height: number }> {
  const one = ['-frames:v', '1', '-c:v', 'rawvideo'];
  const [frame] = await tracksOf(file, { maps: ['0:v:0'], output: one }, bench);
  if (!frame) throw invalidMedia('the video has no frame that can be decoded');
  return { width: frame.width, height: frame.height };
}

/** The tracks of what ffmpeg makes of a file, those without packets excepted. */
async function tracksOf(
  file: Artifact,
  { maps, output }: { readonly maps: readonly string[]; readonly output: readonly string[] },
  bench: FfmpegBench,
): Promise<Track[]> {
  const tracks = new Map<string, Track>();
  let rest = '';
  for await (const chunk of ffmpegOver([file], { maps, output: [...output, '-f', 'framecrc'] }, bench)) {
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(-LONGEST_LINE);
    for (const line of lines) take(line, tracks);
  }
  return [...tracks.values()].filter(({ packets }) => packets > 0);
}

function pictureOf({ codec, width, height, packets, start, end, unit }: Track): NonNullable<MediaFacts['video']> {
  const seconds = (end - start) * unit;
  return {
    codec,
    width,
    height,
    ...(packets > 1 &&
      seconds > 0 &&
      Number.isFinite(seconds) && { frameRate: Math.round((packets / seconds) * 1_000) / 1_000 }),
  };
}

const soundOf = ({ codec, sampleRate, channels }: Track): NonNullable<MediaFacts['audio']> => ({
  codec,
  ...(sampleRate !== undefined && { sampleRate }),
  ...(channels !== undefined && { channels }),
});

/** ffmpeg's `AV_NOPTS_VALUE`, as far as a number can tell it. */
const NO_TIME = -(2 ** 62);

/** A line of a header, `#codec_id 0: h264`, or of a packet: stream, dts, pts, duration, size, checksum. */
function take(line: string, tracks: Map<string, Track>): void {
  const header = /^#(\w+) (\d): +(\S+)/.exec(line);
  if (header) {
    const [, key = '', id = '', value = ''] = header;
    const track = tracks.get(id) ?? fresh();
    tracks.set(id, track);
    describe(track, key, value);
    return;
  }
  const [id = '', dts = '', pts = '', duration = ''] = line.split(',').map((each) => each.trim());
  const track = tracks.get(id);
  if (!track) return;
  track.packets += 1;
  const at = [pts, dts].map(Number).find((time) => Number.isFinite(time) && time > NO_TIME);
  if (at === undefined) return;
  track.start = Math.min(track.start, at);
  track.end = Math.max(track.end, at + (Number(duration) || 0));
}

const fresh = (): Track => ({
  kind: '',
  codec: '',
  unit: 1,
  width: 0,
  height: 0,
  sampleRate: undefined,
  channels: undefined,
  start: Number.POSITIVE_INFINITY,
  end: Number.NEGATIVE_INFINITY,
  packets: 0,
});

function describe(track: Track, key: string, value: string): void {
  if (key === 'tb') {
    const [over = 1, under = 1] = value.split('/').map(Number);
    track.unit = over / under;
  } else if (key === 'media_type') track.kind = value;
  else if (key === 'codec_id') track.codec = value;
  else if (key === 'dimensions') [track.width = 0, track.height = 0] = value.split('x').map(Number);
  else if (key === 'sample_rate') track.sampleRate = Number(value);
  else if (key === 'channel_layout_name') track.channels = CHANNELS[value];
}
