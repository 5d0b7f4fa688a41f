import { expect, it } from 'vitest';
import type { ChannelRef, MoreEntries } from '../../../pipelines/run/index.js';
import type { Reading } from '../../../workflows/interpreter/host.js';
import { ChannelPieces } from '../../../workflows/interpreter/index.js';

/** A voice's pieces, of which each answer has as many as were asked for. */
async function asked({ pieces, over }: { readonly pieces: number; readonly over: boolean }): Promise<number[]> {
  const most: number[] = [];
  const next = async (wait: { after: { number: number }; most: number }): Promise<MoreEntries> => {
    most.push(wait.most);
    const [from, to] = [wait.after.number, Math.min(pieces, wait.after.number + wait.most)];
    const entries = Array.from({ length: to - from }, (_, n) => ({ number: from + n, digest: `${from + n}` }));
    return { entries, next: { number: to }, ...(to === pieces && { ended: true }) } as unknown as MoreEntries;
  };
  const channel = { path: 'speak', of: 'chunks', name: 'c' } as unknown as ChannelRef;
  const by = { path: 'heard', values: false, needed: () => 0, over: () => over } as unknown as Reading;
  const reader = new ChannelPieces(channel, by, { next, cancel: () => undefined } as never);
  while ((await reader.next()) !== undefined);
  return most;
}

it('pieces of a voice that is still speaking are asked for a few at a time', async () => {
  expect(await asked({ pieces: 20, over: false })).toEqual([8, 8, 8]);
});

it('a long voice that has ended is read with few calls, so that a new history has room for more than reading', async () => {
  expect(await asked({ pieces: 4_000, over: true })).toHaveLength(16);
});
