import { expect, test } from 'vitest';
import { sizedWav } from '../../../media/index.js';
import { pieces, riffChunk, wavFile } from '../../support/wav-samples.js';

const ENDLESS = 0xffff_ffff;

test.each([1, 2])('a file from a pipe, of %s channels, gets its length into its header', async (channels) => {
  const before = [riffChunk('LIST', Buffer.from('INFOISFT'))];
  const piped = wavFile({ channels, before, dataSize: ENDLESS, riffSize: ENDLESS });
  const parts: Uint8Array[] = [];
  for await (const part of await sizedWav(() => pieces(piped, 1_000))) parts.push(part);
  expect(Buffer.concat(parts).equals(wavFile({ channels }))).toBe(true);
});

test('a file without samples is none', async () => {
  const empty = wavFile({ seconds: 0, dataSize: ENDLESS, riffSize: ENDLESS });
  await expect(sizedWav(() => pieces(empty, 1_000))).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
});
