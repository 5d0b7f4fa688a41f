import { performance } from 'node:perf_hooks';
import { type MessagePort, Worker } from 'node:worker_threads';
import { expect, it, vi } from 'vitest';
import { decodeInThread } from '../../../media/decoding/decode-in-thread.js';
import type { Job } from '../../../media/decoding/messages.js';
import { decodeChannels, type PcmFormat } from '../../../media/pcm.js';
import { pieces, type WavOptions, wavFile } from '../../support/wav-samples.js';

type Decode = typeof decodeChannels;

async function decoded(decode: Decode, file: Buffer, wanted: PcmFormat): Promise<number[][]> {
  const channels: number[][] = [];
  for await (const block of decode(pieces(file, 64 * 1024), wanted))
    for (const [i, samples] of block.entries()) {
      channels[i] ??= [];
      for (const each of samples) channels[i].push(each);
    }
  return channels;
}

it.each<readonly [string, WavOptions, PcmFormat]>([
  ['another rate', { sampleRate: 44_100, channels: 2, seconds: 3 }, { sampleRate: 16_000, channels: 1 }],
  ['its own format', { sampleRate: 48_000, encoding: 'u8', channels: 2, seconds: 2 }, {}],
  ['one channel twice', { sampleRate: 8_000, channels: 1, seconds: 2 }, { channels: 2 }],
])('a thread gives the same samples: %s', async (_, options, wanted) => {
  const file = wavFile(options);
  const formats: number[] = [];
  const inThread: Decode = (bytes, format) => decodeInThread(bytes, format, (found) => formats.push(found.sampleRate));
  const [here, there] = [await decoded(decodeChannels, file, wanted), await decoded(inThread, file, wanted)];
  expect(there).toEqual(here);
  expect(formats).toEqual([options.sampleRate]);
});

/** The share of the time in which this thread was busy. */
async function busy(decode: Decode, file: Buffer): Promise<number> {
  const before = performance.eventLoopUtilization();
  for await (const _ of decode(pieces(file, 64 * 1024), { sampleRate: 16_000, channels: 1 }));
  return performance.eventLoopUtilization(before).utilization;
}

it('the event loop is free while long audio is converted', async () => {
  const file = wavFile({ sampleRate: 48_000, seconds: 60 });
  await busy(decodeInThread, wavFile({ sampleRate: 48_000, seconds: 1 })); // starts the thread
  expect(await busy(decodeChannels, file)).toBeGreaterThan(0.7);
  expect(await busy(decodeInThread, file)).toBeLessThan(0.5);
});

it('what is wrong with a file is told as without a thread', async () => {
  const file = wavFile({ sampleRate: 16_000, seconds: 20 });
  const cut = file.subarray(0, file.length - 1_000);
  const failure = (decode: Decode) => decoded(decode, cut, {}).catch((error: unknown) => error);
  const [here, there] = [await failure(decodeChannels), await failure(decodeInThread)];
  expect(here).toMatchObject({ code: 'INVALID_MEDIA', message: expect.stringContaining('truncated') });
  expect(there).toMatchObject({ code: 'INVALID_MEDIA', message: (here as Error).message });
});

it('what is wrong with reading the file is thrown as it is', async () => {
  const broken = new Error('the disk is gone');
  async function* bytes() {
    yield wavFile({ sampleRate: 16_000, seconds: 1 }).subarray(0, 10_000);
    throw broken;
  }
  const reading = (async () => {
    for await (const _ of decodeInThread(bytes(), {}));
  })();
  await expect(reading).rejects.toBe(broken);
});

it('files take turns: a long one does not delay another, and is left in the middle', async () => {
  let isClosed = false;
  async function* endless() {
    try {
      // The header does not know the length, as of a recording in progress.
      yield wavFile({ sampleRate: 16_000, seconds: 1, dataSize: 0xffff_ffff });
      for (;;) yield Buffer.alloc(64 * 1024);
    } finally {
      isClosed = true;
    }
  }
  const long = decodeInThread(endless(), { sampleRate: 48_000 });
  for (let blocks = 0; blocks < 3; blocks++) expect((await long.next()).done).toBe(false);
  const [other] = await decoded(decodeInThread, wavFile({ sampleRate: 8_000, seconds: 1 }), { sampleRate: 16_000 });
  expect(other).toHaveLength(16_000);
  expect((await long.next()).done).toBe(false);
  await long.return();
  expect(isClosed).toBe(true);
});

it('tenants take turns: many files of one delay another’s as one of them would, and leave at once', async () => {
  async function* endless() {
    yield wavFile({ sampleRate: 16_000, seconds: 1, dataSize: 0xffff_ffff });
    for (;;) yield Buffer.alloc(64 * 1024);
  }
  const gone = new AbortController();
  const never = new AbortController().signal;
  let theirs = 0;
  const busy = Array.from({ length: 20 }, async () => {
    const blocks = decodeInThread(endless(), {}, undefined, { tenant: 'busy', signal: gone.signal });
    for await (const _ of blocks) theirs += 1;
  });
  const ends = Promise.allSettled(busy);
  try {
    await vi.waitFor(() => expect(theirs).toBeGreaterThan(40), { timeout: 20_000 });
    const before = theirs;
    let own = 0;
    const file = pieces(wavFile({ sampleRate: 16_000, seconds: 60 }), 64 * 1024);
    for await (const _ of decodeInThread(file, {}, undefined, { tenant: 'other', signal: never })) own += 1;
    // While one of its blocks is read, two of theirs may come.
    expect(theirs - before).toBeLessThan(5 * own);
  } finally {
    gone.abort(new Error('gone'));
  }
  for (const each of await ends) expect(each).toMatchObject({ status: 'rejected', reason: { message: 'gone' } });
});

it.each(['its exit', 'that its ports are closed'])(
  'files that wait while the thread ends get a new one; what is reported first: %s',
  async (first) => {
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    try {
      // Two files have all its turns, and it answers neither.
      const ports: MessagePort[] = [];
      const keep = ({ port }: Job) => void ports.push(port);
      post.mockImplementationOnce(keep).mockImplementationOnce(keep);
      const file = wavFile({ sampleRate: 8_000, seconds: 1 });
      const [one, two, ...waiting] = Array.from({ length: 5 }, () => decoded(decodeInThread, file, {}));
      const ends = Promise.allSettled([one, two]);
      const others = Promise.allSettled(waiting);
      await vi.waitFor(() => expect(ports).toHaveLength(2));
      const ending = (post.mock.contexts[0] as Worker).terminate();
      if (first === 'its exit') await ending;
      for (const port of ports) port.close();
      const lost = { status: 'rejected', reason: { code: 'INTERNAL', message: expect.stringContaining('has ended') } };
      expect(await ends).toMatchObject([lost, lost]);
      const lengths = (await others).map((end) => end.status === 'fulfilled' && end.value[0]?.length);
      expect(lengths).toEqual([8_000, 8_000, 8_000]);
      await ending;
    } finally {
      post.mockRestore();
    }
  },
);
