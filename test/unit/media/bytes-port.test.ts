import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBytesPort, inspectorOf } from '../../../media/index.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { pieces } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-bytes-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

const png = (bytes: number) => Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(bytes - 8, 7)]);
const put = (file: Buffer) => store.put('acme', pieces(file, 100_000), inspectorOf('image'));

test('an image comes back whole', async () => {
  const file = png(300_001);
  const artifact = await put(file);
  expect(artifact).toMatchObject({ mime: 'image/png', bytes: 300_001 });
  expect(Buffer.from(await createBytesPort(store, 'acme')(artifact)).equals(file)).toBe(true);
});

test('another tenant’s does not exist, and 20 MiB is the limit, whatever the reference says', async () => {
  const artifact = await put(png(20 * 1024 * 1024 + 1));
  await expect(createBytesPort(store, 'rival')(artifact)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  for (const bytes of [artifact.bytes, 5]) {
    await expect(createBytesPort(store, 'acme')({ ...artifact, bytes })).rejects.toMatchObject({
      code: 'BODY_TOO_LARGE',
    });
  }
  expect((await createBytesPort(store, 'acme')(await put(png(20 * 1024 * 1024)))).length).toBe(20 * 1024 * 1024);
});
