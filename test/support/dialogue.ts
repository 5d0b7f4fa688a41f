import { spawnSync } from 'node:child_process';
import { writeWav } from '../../media/index.js';
import { ffmpeg } from './ffmpeg.js';
import type { Speech } from './speech.js';

const SAMPLE_RATE = 16_000;
/** Of the embedded voice. */
const VOICE_RATE = 24_000;
/** The embedded stack has one voice. The other one is made of it: pitch and formants are lower by 20 %, at the same pace. */
const LOWER = 0.8;
const PAUSE_SECONDS = 0.6;

export interface Line {
  /** Which voice: 0 is the embedded one, 1 the one made of it. */
  readonly voice: 0 | 1;
  readonly text: string;
}

export interface Dialogue {
  readonly wav: Buffer;
  /** When each line is said, in seconds. */
  readonly spans: readonly { readonly start: number; readonly end: number }[];
}

/** Lines said by two voices, with a pause between them. */
export async function dialogueOf(speech: Speech, lines: readonly Line[]): Promise<Dialogue> {
  const parts: Int16Array[] = [];
  const spans: { start: number; end: number }[] = [];
  let samples = 0;
  const add = (part: Int16Array) => {
    parts.push(part);
    samples += part.length;
  };
  for (const { voice, text } of lines) {
    const said = await spoken(speech, text, voice);
    spans.push({ start: samples / SAMPLE_RATE, end: (samples + said.length) / SAMPLE_RATE });
    add(said);
    add(new Int16Array(PAUSE_SECONDS * SAMPLE_RATE));
  }
  const whole = new Int16Array(samples);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return { wav: Buffer.concat([...writeWav(whole, { sampleRate: SAMPLE_RATE })]), spans };
}

async function spoken(speech: Speech, text: string, voice: Line['voice']): Promise<Int16Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of speech.store.read('default', (await speech.speak(text)).uri)) chunks.push(chunk);
  const lower = [`asetrate=${VOICE_RATE * LOWER}`, `aresample=${SAMPLE_RATE}`, `atempo=${1 / LOWER}`];
  const filters = voice === 0 ? [`aresample=${SAMPLE_RATE}`] : lower;
  const options = ['-loglevel', 'error', '-i', 'pipe:0', '-af', filters.join(','), '-ac', '1', '-f', 's16le', 'pipe:1'];
  const { status, stdout, stderr } = spawnSync(ffmpeg, options, {
    input: Buffer.concat(chunks),
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`ffmpeg cannot make the voice: ${stderr}`);
  return new Int16Array(new Uint8Array(stdout).buffer, 0, Math.floor(stdout.length / 2));
}
