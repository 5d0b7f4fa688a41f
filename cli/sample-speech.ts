import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { RECIPE } from '../deploy/local/stack/paths.js';
import { SampleAudio } from '../measure/profiling/index.js';
import { messageOf } from '../pipelines/errors.js';
import { wrongOption } from './place-files.js';

/** Speech to measure recognition with: a WAV file, by default the demo's question. Throws `INVALID_INPUT`. */
export async function sampleSpeech(file = path.join(RECIPE, 'audio', 'question.wav')): Promise<SampleAudio> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw wrongOption('--audio', `cannot read ${file}: ${messageOf(error)}`);
  }
  return SampleAudio.of(bytes, file);
}
