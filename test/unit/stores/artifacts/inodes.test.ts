import type { StatsFs } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openFileStore } from '../../../../stores/artifacts/index.js';

vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  statfs: vi.fn(),
}));

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-inodes-'));
});
afterEach(() => rm(root, { recursive: true }));

const BLOCKS = { bavail: 900_000, blocks: 1_000_000, bsize: 4_096 };
/** A tenth of the disk, of whose inodes a hundredth is kept free then. */
const RESERVE = 409_600_000;

async function put(reserveBytes: number, inodes: Pick<StatsFs, 'files' | 'ffree'>) {
  vi.mocked(statfs).mockResolvedValue({ ...BLOCKS, ...inodes } as StatsFs);
  const store = await openFileStore(root, { reserveBytes });
  const inspector = { push: () => undefined, end: () => ({ mime: 'text/plain' }) };
  return await store.put('acme', Readable.from([Buffer.from('some')]), inspector);
}

test.each([0, 9_000])('a put leaves inodes to running stages: %i are left', async (ffree) => {
  const full = expect.objectContaining({ code: 'STORE_FULL', message: expect.stringContaining(`${ffree} inodes`) });
  await expect(put(RESERVE, { files: 1_000_000, ffree })).rejects.toThrow(full);
});

test('as many as the reserve is of the disk, and none where it is off, or the file system has no fixed number', async () => {
  await put(RESERVE, { files: 1_000_000, ffree: 11_000 });
  await put(RESERVE / 4, { files: 1_000_000, ffree: 3_000 });
  await put(0, { files: 1_000_000, ffree: 0 });
  await put(RESERVE, { files: 0, ffree: 0 });
});
