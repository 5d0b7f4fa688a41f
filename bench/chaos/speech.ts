import { createReadStream } from 'node:fs';
import path from 'node:path';
import { RECIPE } from '../../deploy/local/stack/paths.js';
import { createAudioPort, inspectorOf } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { artifactsFolder } from '../../workers/artifacts.js';
import { audioMark } from './run-mark.js';
import { settings } from './settings.js';

/** The recogniser's rate: samples of a file at this rate reach it unchanged, and with them the run's mark. */
const SAMPLE_RATE = 16_000;
const QUESTION = path.join(RECIPE, 'audio', 'question.wav');

/** Two seconds of speech in the workers' store, one recording per run, which contains the run's number. */
export async function openSpeech(tenant: string): Promise<(run: number) => Promise<Artifact>> {
  const store = await openFileStore(artifactsFolder(settings));
  const port = createAudioPort(store, tenant);
  const question = await store.put(tenant, createReadStream(QUESTION), inspectorOf('audio'));
  const samples: number[] = [];
  for await (const chunk of port.read(question, { sampleRate: SAMPLE_RATE })) {
    for (const sample of chunk) samples.push(Math.round(sample * 0x7fff));
  }
  return (run) => port.write(Int16Array.from([...audioMark(run), ...samples]), { sampleRate: SAMPLE_RATE });
}
