import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type FfmpegBench, ffmpegOver, inspectorOf } from '../../../media/index.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { pieces, wavFile } from '../../support/wav-samples.js';

const CORES = availableParallelism();
const never = new AbortController().signal;
/** Processes may start late on a machine that does much else. */
const LOADED = { timeout: 20_000 };

let root: string;
let store: ArtifactStore;
/** Stands for an ffmpeg that takes long: it ends when there is a file beside it, `<program>.go`. */
let slow: string;
/** One that ends at once. */
let quick: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-places-'));
  store = await openFileStore(path.join(root, 'store'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  count += 1;
  [slow, quick] = [path.join(root, `slow-${count}`), path.join(root, `quick-${count}`)];
  const end = 'cat > /dev/null\necho done\n';
  await writeFile(slow, `#!/bin/sh\nwhile [ ! -e "$0.go" ]; do sleep 0.05; done\n${end}`, { mode: 0o755 });
  await writeFile(quick, `#!/bin/sh\n${end}`, { mode: 0o755 });
});

/** What the program of a tenant writes about a recording. */
async function worked(tenant: string, program: string, own: Partial<FfmpegBench> = {}): Promise<string> {
  const wav = wavFile({ sampleRate: 8_000, seconds: 0.1 });
  const file = await store.put(tenant, pieces(wav, 10_000), inspectorOf('audio'));
  const bench = { store, tenant, program, signal: never, ...own };
  let text = '';
  for await (const chunk of ffmpegOver([file], { maps: ['0:a:0'], output: [] }, bench))
    text += Buffer.from(chunk).toString();
  return text;
}

/** A slot that counts what is done with it. */
function countedSlot() {
  const counted = {
    left: 0,
    taken: 0,
    leave() {
      counted.left += 1;
      return true;
    },
    async take() {
      counted.taken += 1;
    },
  };
  return counted;
}

/** One file of a tenant that has as many at work as it may. `ends`: how all of them end. */
async function oneTooMany(own: Partial<FfmpegBench>) {
  const slot = countedSlot();
  const working = Array.from({ length: CORES }, () => worked('busy', slow, { slot }));
  await vi.waitFor(() => expect(slot).toMatchObject({ left: 0, taken: CORES }), LOADED);
  const waiting = worked('busy', slow, own);
  return { waiting, ends: Promise.allSettled([...working, waiting]) };
}

const letGo = () => writeFile(`${slow}.go`, '');

it('a tenant with many files makes those of others wait for none of them', async () => {
  const slot = countedSlot();
  const { ends } = await oneTooMany({ slot });
  await vi.waitFor(() => expect(slot.left).toBe(1), LOADED);
  expect(await worked('other', quick)).toBe('done\n');
  expect(slot).toMatchObject({ left: 1, taken: 0 });
  await letGo();
  const all = await ends;
  expect(all.map((end) => end.status === 'fulfilled' && end.value)).toEqual(Array(CORES + 1).fill('done\n'));
  // What it has given up it has again.
  expect(slot).toMatchObject({ left: 1, taken: 1 });
});

it('a file that may not wait in the process goes back to its queue', async () => {
  const slot = { leave: () => false, take: async () => undefined };
  const { waiting, ends } = await oneTooMany({ slot });
  await expect(waiting).rejects.toMatchObject({
    code: 'OVERLOADED',
    message: expect.stringContaining('place for ffmpeg'),
    details: { unsent: true, retryAfterMs: 5_000 },
  });
  await letGo();
  expect((await ends).filter(({ status }) => status === 'fulfilled')).toHaveLength(CORES);
});

it('a file whose call is cancelled leaves the queue at once', async () => {
  const [slot, gone] = [countedSlot(), new AbortController()];
  const { waiting, ends } = await oneTooMany({ slot, signal: gone.signal });
  await vi.waitFor(() => expect(slot.left).toBe(1), LOADED);
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  await letGo();
  expect((await ends).filter(({ status }) => status === 'fulfilled')).toHaveLength(CORES);
});

it('files whose callers get no slot again give their places to others, and go back to their queue', async () => {
  const slot = {
    leave: () => true,
    take: (signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  };
  const waiting = Array.from({ length: CORES }, () => worked('full', quick, { slot, slotMs: 100 }));
  const overloaded = {
    status: 'rejected',
    reason: {
      code: 'OVERLOADED',
      message: expect.stringContaining('slot of the worker'),
      details: { unsent: true, retryAfterMs: 5_000 },
    },
  };
  expect(await Promise.allSettled(waiting)).toMatchObject(Array(CORES).fill(overloaded));
  expect(await worked('full', quick)).toBe('done\n');
});

it('a file whose call is cancelled while it waits for its slot ends with the reason', async () => {
  const gone = new AbortController();
  const slot = {
    leave: () => true,
    async take(signal: AbortSignal) {
      gone.abort(new Error('gone'));
      signal.throwIfAborted();
    },
  };
  await expect(worked('gone', quick, { slot, signal: gone.signal })).rejects.toThrow('gone');
});
