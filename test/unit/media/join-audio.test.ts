import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectorOf, joinAudio, writeWav } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { openFileStore } from '../../../stores/artifacts/index.js';

const store = await openFileStore(mkdtempSync(path.join(tmpdir(), 'millrace-join-')));

async function* stream(bytes: Iterable<Uint8Array>) {
  yield* bytes;
}
const put = (samples: readonly number[], sampleRate = 24_000): Promise<Artifact> =>
  store.put('default', stream(writeWav(Int16Array.from(samples), { sampleRate })), inspectorOf('audio'));

async function samplesOf({ uri }: Artifact): Promise<number[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.read('default', uri)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return Array.from({ length: (bytes.length - 44) / 2 }, (_, i) => bytes.readInt16LE(44 + 2 * i));
}

describe('joined audio', () => {
  it('has the samples of all pieces, unchanged and in order', async () => {
    const one = [1, -2, 32_767, -32_768, 3];
    const joined = await joinAudio(store, 'default', [await put(one), await put([7]), await put([8, 9])]);
    expect(await samplesOf(joined)).toEqual([...one, 7, 8, 9]);
    expect(joined).toMatchObject({ mime: 'audio/wav', sampleRate: 24_000, channels: 1 });
  });

  it('is the piece itself if there is one', async () => {
    const piece = await put([1, 2]);
    expect(await joinAudio(store, 'default', [piece])).toBe(piece);
  });

  it('has the rate of the first piece', async () => {
    const tone = Array.from({ length: 2_400 }, (_, i) => Math.round(9_000 * Math.sin(i / 9)));
    const joined = await joinAudio(store, 'default', [await put([1, 2, 3]), await put(tone, 12_000)]);
    expect(joined.sampleRate).toBe(24_000);
    expect(await samplesOf(joined)).toHaveLength(3 + 2 * tone.length);
  });
});
