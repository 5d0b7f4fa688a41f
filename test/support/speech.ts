import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { createAudioPort } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { artifactsFolder } from '../../workers/artifacts.js';
import { chooseFfmpeg } from '../../workers/ffmpeg.js';
import { address } from './runs.js';
import { testSettings } from './settings.js';

const LIMIT_MS = 60_000;

/** Speech recognition and synthesis straight from the real Triton, and the artifact store that the test's workers use. */
export async function openSpeech(tenant = 'default') {
  const store = await openFileStore(artifactsFolder(testSettings()));
  const audio = createAudioPort(store, tenant, { ffmpeg: chooseFfmpeg(testSettings()).program });
  const triton = tritonConnector().connect(address('TRITON_URL'));
  const context = () => ({
    audio,
    signal: AbortSignal.timeout(LIMIT_MS),
    checkpoint: () => undefined,
    emit: () => undefined,
  });
  return {
    store,
    audio,
    async speak(text: string): Promise<Artifact> {
      const { output } = await triton.invoke(
        { kind: 'synthesize', model: 'tts', with: {}, input: { text } },
        context(),
      );
      return output.audio as unknown as Artifact;
    },
    async recognise(artifact: Artifact): Promise<string> {
      const input = { audio: artifact as unknown as Record<string, string> };
      const { output } = await triton.invoke({ kind: 'transcribe', model: 'whisper', with: {}, input }, context());
      return output.text as string;
    },
    close: () => triton.close(),
  };
}

export type Speech = Awaited<ReturnType<typeof openSpeech>>;

const words = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}' ]+/gu, ' ')
    .split(/\s+/)
    .filter(Boolean);

/** Share of the reference's words that were recognised: 1 − word error rate (substitutions, deletions, insertions). */
export function wordAccuracy(reference: string, recognised: string): number {
  const [a, b] = [words(reference), words(recognised)];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, word] of a.entries()) {
    const next = [i + 1];
    for (const [j, other] of b.entries()) {
      next.push(Math.min((row[j] ?? 0) + (word === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return a.length === 0 ? Number(b.length === 0) : 1 - (row[b.length] ?? 0) / a.length;
}
