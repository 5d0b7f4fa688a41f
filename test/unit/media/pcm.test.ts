import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { decodeWav } from '../../../media/pcm.js';
import { createResampler } from '../../../media/resample.js';
import type { SampleEncoding } from '../../../media/wav-format.js';
import { writeWav } from '../../../media/write-wav.js';
import { collect, pieces, type WavOptions, wavFile, wavOf } from '../../support/wav-samples.js';

const decode = (file: Buffer, sampleRate: number, piece = 4097) =>
  collect(decodeWav(pieces(file, piece), { sampleRate }));

/** Root mean square of what differs from a sine, away from the ends where the filter has no neighbours. */
function errorOf(samples: Float32Array, sampleRate: number, { hz = 440, amplitude = 0.5 }: WavOptions): number {
  const edge = 200;
  let sum = 0;
  for (let i = edge; i < samples.length - edge; i++) {
    const expected = amplitude * Math.sin((2 * Math.PI * hz * i) / sampleRate);
    sum += ((samples[i] ?? 0) - expected) ** 2;
  }
  return Math.sqrt(sum / (samples.length - 2 * edge));
}

const precision: Record<SampleEncoding, number> = {
  ...{ u8: 5e-3, s16: 3e-5, s24: 1e-6, s32: 1e-6, f32: 1e-6, f64: 1e-6 },
  ...{ mulaw: 1e-2, alaw: 1e-2 },
};

test.each([
  // The ends of the scale, and the least of each sign, by the tables of G.711.
  ['mulaw', [0x00, 0x7f, 0xff, 0xfe, 0x80], [-32_124, 0, 0, 8, 32_124]],
  ['alaw', [0x2a, 0x55, 0xd5, 0xd4, 0xaa], [-32_256, -8, 8, 24, 32_256]],
] as const)('%s is that of G.711', async (encoding, codes, samples) => {
  const decoded = await decode(wavOf(Buffer.from(codes), { encoding, sampleRate: 8_000 }), 8_000);
  expect([...decoded].map((each) => each * 0x8000 + 0)).toEqual(samples);
});

test.each([
  [48_000, 1],
  [48_000, 192_001],
  [0, 16_000],
])('audio is not converted from %i to %i Hz: no audio has such a rate', async (from, to) => {
  await expect(createResampler(from, to)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
});

test('a converter that is used again has nothing of the stream before, nor its rates', async () => {
  const sine = (hz: number) => Float32Array.from({ length: hz }, (_, n) => Math.sin((2 * Math.PI * 440 * n) / hz) / 2);
  const converted = async (from: number, to: number, times = 1) => {
    const resampler = await createResampler(from, to);
    const parts = Array.from({ length: times }, () => resampler.push(sine(from)));
    parts.push(resampler.end());
    resampler.close();
    resampler.close(); // gives nothing back twice
    return parts;
  };
  const first = await converted(48_000, 16_000);
  await converted(1_000, 192_000);
  await converted(192_000, 8_000, 2);
  const both = await Promise.all([converted(48_000, 16_000), converted(48_000, 16_000)]);
  expect(both).toEqual([first, first]);
});

test('long audio is converted in many turns of the event loop', async () => {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  // One piece: nothing is waited for in between.
  const samples = await decode(wavFile({ sampleRate: 8_000, encoding: 'u8', seconds: 40 }), 192_000, 2_000_000);
  isOver = true;
  expect(samples.length).toBe(40 * 192_000);
  expect(turns).toBeGreaterThan(20);
});

describe('decoding keeps frequency, level and phase', () => {
  test.each(Object.keys(precision) as SampleEncoding[])('%s at the same rate', async (encoding) => {
    const options = { encoding, channels: 2, sampleRate: 16_000, seconds: 0.5 };
    const samples = await decode(wavFile(options), 16_000);
    expect(samples.length).toBe(8000);
    expect(errorOf(samples, 16_000, options)).toBeLessThan(precision[encoding]);
  });

  test.each([
    { sampleRate: 48_000, encoding: 's24', channels: 2, hz: 1000 },
    { sampleRate: 44_100, encoding: 's16', channels: 1, hz: 3000 },
    { sampleRate: 22_050, encoding: 'f32', channels: 1, hz: 440 },
    { sampleRate: 8000, encoding: 's16', channels: 2, hz: 440 },
    { sampleRate: 192_000, encoding: 's32', channels: 1, hz: 5000 },
  ] as const)('$sampleRate Hz, $encoding, $channels channels to 16 kHz', async (options) => {
    const samples = await decode(wavFile({ ...options, seconds: 1.25 }), 16_000);
    expect(samples.length).toBe(20_000);
    expect(errorOf(samples, 16_000, options)).toBeLessThan(1e-4);
  });

  test('what is above half the target rate is removed, not folded back', async () => {
    const samples = await decode(wavFile({ sampleRate: 48_000, hz: 12_000, seconds: 0.5 }), 16_000);
    expect(errorOf(samples, 16_000, { amplitude: 0 })).toBeLessThan(1e-4);
  });

  test('the result does not depend on the pieces', async () => {
    const file = wavFile({ sampleRate: 44_100, encoding: 's24', channels: 2, seconds: 0.3 });
    const whole = await decode(file, 16_000, file.length);
    for (const piece of [1, 7, 1000, 65_536]) {
      const samples = await decode(file, 16_000, piece);
      expect(samples.length).toBe(whole.length);
      for (let i = 0; i < whole.length; i++) expect(Math.abs((samples[i] ?? 9) - (whole[i] ?? 0))).toBeLessThan(1e-6);
    }
  });
});

test('one frame is enough', async () => {
  expect((await decode(wavFile({ sampleRate: 48_000, seconds: 1 / 48_000 }), 48_000)).length).toBe(1);
  expect((await decode(wavFile({ sampleRate: 8000, seconds: 1 / 8000 }), 16_000)).length).toBe(2);
});

test('channels are averaged', async () => {
  const data = Buffer.alloc(8);
  for (const [i, value] of [0x4000, -0x4000, 0x4000, 0x2000].entries()) data.writeInt16LE(value, i * 2);
  expect([...(await decode(wavOf(data, { channels: 2 }), 16_000))]).toEqual([0, 0.375]);
});

test('float samples beyond full scale are clipped, and NaN is silence', async () => {
  const data = Buffer.alloc(16);
  for (const [i, value] of [2.5, -3, Number.NaN, 0.25].entries()) data.writeFloatLE(value, i * 4);
  expect([...(await decode(wavOf(data, { encoding: 'f32' }), 16_000))]).toEqual([1, -1, 0, 0.25]);
});

test('chunks are at most a second, even from one huge piece', async () => {
  const file = wavFile({ sampleRate: 8000, seconds: 5.5 });
  for await (const chunk of decodeWav(pieces(file, file.length), { sampleRate: 16_000 })) {
    expect(chunk.length).toBeLessThanOrEqual(16_000);
  }
});

test('a truncated file fails at its end, another format at its start', async () => {
  await expect(decode(wavFile().subarray(0, -10), 16_000)).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
  await expect(decode(Buffer.from('OggS and more bytes'), 16_000)).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
});

/** What is left after it is what is held. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

test('a minute streams through: nothing is read ahead, and nothing that was given is kept', async () => {
  const header = wavOf(Buffer.alloc(0), { sampleRate: 24_000, dataSize: 0xffffffff });
  const BLOCKS = 60;
  let read = 0;
  async function* stream() {
    yield header;
    for (; read < BLOCKS; read++) yield Buffer.alloc(48_000);
  }
  let samples = 0;
  let ahead = 0;
  const given: WeakRef<object>[] = [];
  for await (const chunk of decodeWav(stream(), { sampleRate: 16_000 })) {
    samples += chunk.length;
    // A block is a second.
    ahead = Math.max(ahead, read - samples / 16_000);
    given.push(new WeakRef(chunk));
  }
  expect(samples).toBe(BLOCKS * 16_000);
  expect(ahead).toBeLessThan(3);
  // A weak reference holds until the turn in which it was made has ended.
  await new Promise(setImmediate);
  collectGarbage();
  const kept = given.filter((chunk) => chunk.deref() !== undefined).length;
  expect(kept).toBeLessThan(given.length / 10);
}, 120_000);

test('of conversions at once one goes on in a turn of the event loop', async () => {
  const file = wavFile({ sampleRate: 48_000, seconds: 2 });
  const begun = new Set<number>();
  const inTurn = new Set<number>();
  let most = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      await new Promise(setImmediate);
      most = Math.max(most, inTurn.size);
      inTurn.clear();
    }
  })();
  const convert = async (n: number) => {
    for await (const _ of decodeWav(pieces(file, file.length), { sampleRate: 96_000 })) {
      begun.add(n);
      if (begun.size === 10) inTurn.add(n);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, n) => convert(n)));
  isOver = true;
  await watching;
  expect(most).toBeLessThanOrEqual(2);
});

test('short blocks of many conversions share a turn of the event loop', async () => {
  const [READERS, PIECES] = [40, 5];
  let turns = 0;
  let isOver = false;
  const busy = (async () => {
    for (; !isOver; turns++) {
      for (const begun = performance.now(); performance.now() - begun < 5; );
      await new Promise(setImmediate);
    }
  })();
  async function* live() {
    yield wavOf(Buffer.alloc(0), { sampleRate: 24_000, dataSize: 0xffffffff });
    for (let piece = 0; piece < PIECES; piece++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      yield Buffer.alloc(4_800);
    }
  }
  const read = async () => {
    for await (const _ of decodeWav(live(), { sampleRate: 24_000 }));
  };
  await Promise.all(Array.from({ length: READERS }, read));
  isOver = true;
  await busy;
  expect(turns).toBeLessThan((READERS * PIECES) / 2);
});

test('what is written can be read', async () => {
  const written = Int16Array.from({ length: 70_000 }, (_, i) => ((i * 7919) % 65_536) - 32_768);
  const file = Buffer.concat([...writeWav(written, { sampleRate: 24_000 })]);
  expect(file.length).toBe(44 + 140_000);
  const read = await decode(file, 24_000);
  expect(Int16Array.from(read, (value) => value * 32_768)).toEqual(written);
});

test('audio of more than twelve hours is refused, and not decoded to its end', async () => {
  const hour = Buffer.alloc(3_600_000, 128);
  let hours = 0;
  async function* endless() {
    yield wavOf(hour, { encoding: 'u8', sampleRate: 1000, dataSize: 0xffffffff, riffSize: 0xffffffff });
    for (hours = 1; hours < 100; hours++) yield hour;
  }
  const decoding = (async () => {
    for await (const _ of decodeWav(endless(), { sampleRate: 1000 }));
  })();
  await expect(decoding).rejects.toMatchObject({
    code: 'INVALID_MEDIA',
    message: 'the audio is longer than 12 hours',
  });
  expect(hours).toBe(12);
});
