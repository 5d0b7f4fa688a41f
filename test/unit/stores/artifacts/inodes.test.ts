import { expect, test } from 'vitest';
import { requireSpace } from '../../../../stores/artifacts/room.js';

const BLOCKS = { bavail: 900_000, blocks: 1_000_000, bsize: 4_096 };
/** A tenth of the disk, of whose inodes a hundredth is kept free then. */
const RESERVE = 409_600_000;

test.each([0, 9_000])('a put leaves inodes to running stages: %i are left', (ffree) => {
  const full = expect.objectContaining({ code: 'STORE_FULL', message: expect.stringContaining(`${ffree} inodes`) });
  expect(() => requireSpace({ ...BLOCKS, files: 1_000_000, ffree }, RESERVE, 0)).toThrow(full);
});

test('as many as the reserve is of the disk, and none where the file system has no fixed number', () => {
  requireSpace({ ...BLOCKS, files: 1_000_000, ffree: 11_000 }, RESERVE, 0);
  requireSpace({ ...BLOCKS, files: 1_000_000, ffree: 3_000 }, RESERVE / 4, 0);
  requireSpace({ ...BLOCKS, files: 0, ffree: 0 }, RESERVE, 0);
});
