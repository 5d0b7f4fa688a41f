import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RECIPE } from '../../deploy/local/stack/paths.js';
import { requirePlatform } from '../../deploy/local/stack/python.js';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import { chooseFfmpeg } from '../../workers/ffmpeg.js';
import { testSettings } from './settings.js';

/** The ffmpeg of the tests. The packages of the embedded servers, which have one, are installed where there is none yet. */
export const ffmpeg = await found();

async function found(): Promise<string> {
  const settings = testSettings();
  const { program, why } = chooseFfmpeg(settings);
  const runs = (file: string) => spawnSync(file, ['-version']).error === undefined;
  if (runs(program)) return program;
  requirePlatform();
  const { MILLRACE_VENV: folder, MILLRACE_PYTHON: explicitPython } = settings;
  const onStep = (detail: string) => process.stderr.write(`packages of the embedded servers: ${detail}\n`);
  await ensureVenv({ folder, explicitPython, recipe: RECIPE, env: process.env, onStep });
  const installed = chooseFfmpeg(settings).program;
  if (runs(installed)) return installed;
  throw new Error(`no ffmpeg runs here: ${program} (${why})`);
}

/** What ffmpeg writes each encoding with. */
const ENCODE: Readonly<Record<string, readonly string[]>> = {
  mp3: ['-f', 'mp3', '-b:a', '192k'],
  'mp3 without a tag': ['-f', 'mp3', '-b:a', '192k', '-id3v2_version', '0', '-write_xing', '0'],
  flac: ['-f', 'flac'],
  'ogg (Opus)': ['-f', 'ogg', '-c:a', 'libopus', '-b:a', '128k'],
  'ogg (Vorbis)': ['-f', 'ogg', '-c:a', 'libvorbis', '-q:a', '8'],
  webm: ['-f', 'webm', '-c:a', 'libopus', '-b:a', '128k'],
  mp4: ['-f', 'mp4', '-c:a', 'aac', '-b:a', '192k'],
  'mp4, index first': ['-f', 'mp4', '-c:a', 'aac', '-b:a', '192k', '-movflags', '+faststart'],
  'mp4 in fragments': ['-f', 'mp4', '-c:a', 'aac', '-b:a', '192k', '-movflags', '+frag_keyframe+empty_moov'],
};

/** A WAV file in another encoding, a key of `ENCODE`. */
export const encoded = (wav: Buffer, as: string): Buffer =>
  remade(wav, ['-f', 'wav', '-i', 'pipe:0', ...(ENCODE[as] ?? [])]);

/** A file that ffmpeg writes from its standard input. `options`: those of the input, then `-i pipe:0`, then those of the output. */
export function remade(bytes: Buffer, options: readonly string[]): Buffer {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-remade-'));
  try {
    const file = path.join(folder, 'file'); // MP4 cannot be written to a pipe
    const { status, stderr } = spawnSync(ffmpeg, ['-loglevel', 'error', '-y', ...options, file], { input: bytes });
    if (status !== 0) throw new Error(`ffmpeg cannot write with ${options.join(' ')}: ${stderr}`);
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * A video of a test picture of 320 × 240 at 10 frames a second, with a tone unless `silent`; its container is told by `as`.
 * `picture`: another source of pictures, and its size.
 */
export function video(as: 'mp4' | 'webm' | 'matroska' | 'avi', seconds: number, more: VideoOptions = {}): Buffer {
  const { silent = false, picture = 'testsrc=s=320x240:r=10', codec } = more;
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-video-'));
  try {
    const file = path.join(folder, 'file');
    const encoders =
      codec ?? (as === 'webm' ? ['-c:v', 'libvpx', '-c:a', 'libopus'] : ['-c:v', 'libx264', '-c:a', 'aac']);
    const sound = silent ? [] : ['-f', 'lavfi', '-i', `sine=f=440:d=${seconds}`];
    const options = ['-loglevel', 'error', '-y', '-f', 'lavfi', '-i', `${picture}:d=${seconds}`, ...sound];
    const { status, stderr } = spawnSync(ffmpeg, [...options, ...encoders, '-f', as, file]);
    if (status !== 0) throw new Error(`ffmpeg cannot write ${as}: ${stderr}`);
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface VideoOptions {
  readonly silent?: boolean;
  readonly picture?: string;
  readonly codec?: readonly string[];
}
