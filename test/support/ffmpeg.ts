import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'vitest';

const found = spawnSync('ffmpeg', ['-version']);

export const ffmpegIsThere = found.error === undefined;

/** For `beforeEach`: skips a test that needs ffmpeg where it is missing, and says so. */
export const skipWithoutFfmpeg = ({ skip }: TestContext): void =>
  skip(found.error !== undefined, `ffmpeg cannot be started: ${found.error?.message}`);

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
export function encoded(wav: Buffer, as: string): Buffer {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-encoded-'));
  try {
    const file = path.join(folder, 'file'); // MP4 cannot be written to a pipe
    const options = ['-loglevel', 'error', '-y', '-f', 'wav', '-i', 'pipe:0', ...(ENCODE[as] ?? []), file];
    const { status, stderr } = spawnSync('ffmpeg', options, { input: wav });
    if (status !== 0) throw new Error(`ffmpeg cannot write ${as}: ${stderr}`);
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
