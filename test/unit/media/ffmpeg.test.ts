import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeByFfmpeg } from '../../../media/ffmpeg.js';
import { createAudioPort, inspectorOf } from '../../../media/index.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { encoded, ffmpeg as installed, remade } from '../../support/ffmpeg.js';
import { collect, pieces, wavFile } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
/** Under a name of its own: other files of this process run ffmpeg too. */
let ffmpeg: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-ffmpeg-'));
  ffmpeg = path.join(root, 'own-ffmpeg');
  await symlink(onPath(installed), ffmpeg);
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

const put = (file: Buffer) => store.put('acme', pieces(file, 10_000), inspectorOf('audio'));
const stereo = wavFile({ sampleRate: 44_100, channels: 2, seconds: 2, hz: 440, amplitude: 0.5 });

/** Up to STREAMINFO's rate and channels: 44.1 kHz stereo. */
const FLAC_HEAD = Buffer.from('fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0', 'latin1');

const onPath = (program: string): string =>
  program.includes('/') ? path.resolve(program) : execFileSync('which', [program]).toString().trim();

/** Processes of this file's ffmpeg that this process has. */
const children = (): string[] =>
  execFileSync('ps', ['--ppid', String(process.pid), '-o', 'comm=,stat='])
    .toString()
    .split('\n')
    .filter((line) => line.startsWith('own-ffmpeg'));

/** Share of the samples' energy that is a sine of `hz`. */
function purity(samples: Float32Array, sampleRate: number, hz: number): number {
  let [sine, cosine, all] = [0, 0, 0];
  for (const [i, value] of samples.entries()) {
    const angle = (2 * Math.PI * hz * i) / sampleRate;
    sine += value * Math.sin(angle);
    cosine += value * Math.cos(angle);
    all += value * value;
  }
  return (2 * (sine ** 2 + cosine ** 2)) / (samples.length * all);
}

describe('ffmpeg', () => {
  test.each([
    ['mp3', 'mp3'],
    ['mp3 without a tag', 'mp3'],
    ['flac', 'flac'],
    ['ogg (Opus)', 'ogg'],
    ['ogg (Vorbis)', 'ogg'],
    ['webm', 'webm'],
    ['mp4', 'mp4'],
    ['mp4, index first', 'mp4'],
    ['mp4 in fragments', 'mp4'],
  ])('%s is read as samples', async (as, name) => {
    const conversions: string[] = [];
    const port = createAudioPort(store, 'acme', { ffmpeg, onConversion: (text) => conversions.push(text) });
    const samples = await collect(port.read(await put(encoded(stereo, as)), { sampleRate: 16_000 }));
    expect(samples.length).toBeGreaterThan(31_900);
    expect(samples.length).toBeLessThan(33_500); // codecs pad
    const middle = samples.subarray(4_000, 28_000);
    expect(purity(middle, 16_000, 440)).toBeGreaterThan(0.99);
    expect(Math.max(...middle)).toBeCloseTo(0.5, 1); // the mean of the channels, no louder
    const rate = /Opus|webm/.test(as) ? 48_000 : 44_100;
    expect(conversions).toEqual([`${name} decoded by ffmpeg, ${rate} Hz stereo → 16000 Hz mono`]);
    expect(children()).toEqual([]);
  });

  test.each([
    ['alac', ['-ar', '44100', '-c:a', 'alac', '-f', 'mp4']],
    ['amr of a telephone', ['-ar', '8000', '-ac', '1', '-c:a', 'libopencore_amrnb', '-f', '3gp']],
    ['ac3', ['-ar', '48000', '-c:a', 'ac3', '-f', 'mp4']],
    ['mp3 in an MP4', ['-ar', '44100', '-c:a', 'libmp3lame', '-f', 'mp4']],
  ])('%s is decoded', async (_, options) => {
    const file = await put(remade(stereo, ['-f', 'wav', '-i', 'pipe:0', ...options]));
    const samples = await collect(createAudioPort(store, 'acme', { ffmpeg }).read(file, { sampleRate: 16_000 }));
    expect(samples.length).toBeGreaterThan(31_000);
  });

  test('a codec that nobody uses is not decoded', async () => {
    const file = await put(remade(stereo, ['-f', 'wav', '-i', 'pipe:0', '-c:a', 'dca', '-strict', '-2', '-f', 'mp4']));
    const read = collect(createAudioPort(store, 'acme', { ffmpeg }).read(file, { sampleRate: 16_000 }));
    await expect(read).rejects.toMatchObject({ code: 'INVALID_MEDIA', message: expect.stringMatching(/whitelist/i) });
  });

  test('a cover of any size is passed over: the sound is read', async () => {
    const cover = ['-f', 'lavfi', '-i', 'color=s=5000x4000:r=0.5:d=2', '-map', '0:a', '-map', '1:v'];
    const as = ['-c:a', 'aac', '-c:v', 'png', '-disposition:v:0', 'attached_pic', '-f', 'mp4'];
    const file = await put(remade(stereo, ['-f', 'wav', '-i', 'pipe:0', ...cover, ...as]));
    const samples = await collect(createAudioPort(store, 'acme', { ffmpeg }).read(file, { sampleRate: 16_000 }));
    expect(samples.length).toBeGreaterThan(31_900);
  });

  test('an MP4 is the same with its index behind as before', async () => {
    // Longer than what ffmpeg can go back in a pipe.
    const wav = wavFile({ sampleRate: 44_100, seconds: 40, hz: 3000 });
    const port = createAudioPort(store, 'acme', { ffmpeg });
    const from = async (as: string) => {
      const file = encoded(wav, as);
      expect(file.length).toBeGreaterThan(500_000);
      return Buffer.from((await collect(port.read(await put(file), { sampleRate: 44_100 }))).buffer);
    };
    expect((await from('mp4')).equals(await from('mp4, index first'))).toBe(true);
  }, 120_000);

  test('FLAC is read bit by bit', async () => {
    const wav = wavFile({ encoding: 's24', seconds: 0.5 });
    const port = createAudioPort(store, 'acme', { ffmpeg });
    const from = async (file: Buffer) => collect(port.read(await put(file), { sampleRate: 16_000 }));
    expect(await from(encoded(wav, 'flac'))).toEqual(await from(wav));
  });

  test('what is no audio inside is INVALID_MEDIA, with the reason', async () => {
    const noise = Buffer.concat([FLAC_HEAD, Buffer.alloc(5000, 0x5a)]);
    const reading = collect(createAudioPort(store, 'acme', { ffmpeg }).read(await put(noise), { sampleRate: 16_000 }));
    await expect(reading).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: expect.stringMatching(/^the flac file cannot be decoded: .{10,300}$/),
    });
    expect(children()).toEqual([]);
  });

  test('an MP4 cut before its index is INVALID_MEDIA', async () => {
    const file = encoded(stereo, 'mp4');
    const artifact = await put(file.subarray(0, file.length - 500));
    await expect(
      collect(createAudioPort(store, 'acme', { ffmpeg }).read(artifact, { sampleRate: 16_000 })),
    ).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: expect.stringMatching(/truncated/),
    });
  });

  test('an MP4 that is cut behind its index is INVALID_MEDIA, and not a shorter one', async () => {
    const file = encoded(stereo, 'mp4, index first');
    const artifact = await put(file.subarray(0, file.length / 2));
    await expect(
      collect(createAudioPort(store, 'acme', { ffmpeg }).read(artifact, { sampleRate: 16_000 })),
    ).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: expect.stringMatching(/mp4 file is cut short: .*partial file/),
    });
  });

  test('a broken frame is passed over, and said', async () => {
    const file = encoded(stereo, 'flac');
    file.fill(0, 20_000, 20_040);
    const texts: string[] = [];
    const port = createAudioPort(store, 'acme', { ffmpeg, onConversion: (text) => texts.push(text) });
    const { length } = await collect(port.read(await put(file), { sampleRate: 16_000 }));
    expect(length).toBeGreaterThan(28_000);
    expect(texts).toEqual([
      'flac decoded by ffmpeg, 44100 Hz stereo → 16000 Hz mono',
      expect.stringMatching(/^damaged, decoded as far as possible: .*flac/),
    ]);
  });

  test('a playlist that passes for audio opens nothing', async () => {
    const list = `ID3\x04\0\0\0\0\0\0#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n${'#'.repeat(100)}`;
    const reading = collect(
      createAudioPort(store, 'acme', { ffmpeg }).read(await put(Buffer.from(list)), { sampleRate: 16_000 }),
    );
    await expect(reading).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
  });

  test('an abort ends the program while it works, and the reader gets the reason', async () => {
    const stop = new AbortController();
    const reason = new Error('cancelled');
    const flac = encoded(wavFile({ sampleRate: 48_000, seconds: 30 }), 'flac');
    async function* slowly() {
      for await (const piece of pieces(flac, 1000)) {
        yield piece;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    const reading = decodeByFfmpeg(slowly(), 'flac', { program: ffmpeg, signal: stop.signal });
    await reading.next();
    setTimeout(() => stop.abort(reason), 50);
    await expect(
      (async () => {
        for await (const _ of reading);
      })(),
    ).rejects.toBe(reason);
    expect(children()).toEqual([]);
  });

  test('a reader that leaves ends the program and its source', async () => {
    let closed = false;
    const mp3 = encoded(wavFile({ sampleRate: 48_000, seconds: 60 }), 'mp3');
    async function* source() {
      try {
        for (;;) yield* pieces(mp3, 10_000);
      } finally {
        closed = true;
      }
    }
    for await (const _ of decodeByFfmpeg(source(), 'mp3', { program: ffmpeg })) break;
    expect(closed).toBe(true);
    expect(children()).toEqual([]);
  });

  test('an error of the source comes out as it is', async () => {
    const mp3 = encoded(wavFile({ seconds: 5 }), 'mp3');
    const broken = new Error('the disk is gone');
    async function* source() {
      yield mp3.subarray(0, 20_000);
      throw broken;
    }
    await expect(
      (async () => {
        for await (const _ of decodeByFfmpeg(source(), 'mp3', { program: ffmpeg }));
      })(),
    ).rejects.toBe(broken);
  });

  test('a slow reader holds the source up: nothing is gathered', async () => {
    const mp3 = encoded(wavFile({ sampleRate: 48_000, seconds: 60 }), 'mp3');
    let pulled = 0;
    async function* source() {
      for (;;) {
        for await (const piece of pieces(mp3, 10_000)) {
          pulled += piece.length;
          yield piece;
        }
      }
    }
    const reading = decodeByFfmpeg(source(), 'mp3', { program: ffmpeg });
    await reading.next();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await reading.return();
    expect(pulled).toBeLessThan(1_500_000); // pipes and read-ahead; unheld, ffmpeg takes that in a tenth of a second
  });
});

test('without ffmpeg: CONVERSION_UNAVAILABLE, saying what to do; WAV needs none', async () => {
  const PATH = process.env.PATH;
  process.env.PATH = root;
  try {
    const port = createAudioPort(store, 'acme');
    const flac = Buffer.concat([FLAC_HEAD, Buffer.alloc(500_000, 0x5a)]);
    await expect(collect(port.read(await put(flac), { sampleRate: 16_000 }))).rejects.toMatchObject({
      code: 'CONVERSION_UNAVAILABLE',
      message: expect.stringMatching(/ENOENT.*install ffmpeg.*MILLRACE_FFMPEG.*send WAV/),
    });
    expect((await collect(port.read(await put(stereo), { sampleRate: 16_000 }))).length).toBe(32_000);
  } finally {
    process.env.PATH = PATH;
  }
});

test('a program that is not ffmpeg, or may not be run', async () => {
  const mp3 = await put(Buffer.concat([Buffer.from('ID3\x04'), Buffer.alloc(200)]));
  const read = (ffmpeg: string) =>
    collect(createAudioPort(store, 'acme', { ffmpeg }).read(mp3, { sampleRate: 16_000 }));
  await expect(read(root)).rejects.toMatchObject({
    code: 'CONVERSION_UNAVAILABLE',
    message: expect.stringMatching(/EACCES/),
  });
  await expect(read('false')).rejects.toMatchObject({
    code: 'INVALID_MEDIA',
    message: expect.stringMatching(/ffmpeg exited with 1/),
  });
});

describe('a program that hangs', () => {
  /** A wrapper whose child lives on and holds its pipes when the wrapper is killed. */
  const hanging = async (seconds = 4) => {
    const program = path.join(root, `hanging-${seconds}`);
    await writeFile(program, `#!/bin/sh\nsleep ${seconds}\n`, { mode: 0o755 });
    return program;
  };
  const mp3 = Buffer.concat([Buffer.from('ID3\x04'), Buffer.alloc(200)]);
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is ended by an abort', async () => {
    const stop = new AbortController();
    const reading = decodeByFfmpeg(pieces(mp3, 100), 'mp3', { program: await hanging(25), signal: stop.signal });
    const next = reading.next();
    setTimeout(() => stop.abort(new Error('cancelled')), 100);
    const started = performance.now();
    await expect(next).rejects.toThrow('cancelled');
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test('is ended after thirty seconds without output', async () => {
    const program = await hanging();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const next = decodeByFfmpeg(pieces(mp3, 100), 'mp3', { program }).next();
    const refused = expect(next).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: 'ffmpeg produced no output from the mp3 file for 30 s',
    });
    await vi.advanceTimersByTimeAsync(29_000);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    await refused;
  });

  test('for want of input is not the file’s fault, and the source is not waited for', async () => {
    const program = await hanging();
    async function* stuck() {
      yield mp3;
      await new Promise(() => undefined);
    }
    // The wait for the source begins when the program has ended, in real time.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    const refused = expect(decodeByFfmpeg(stuck(), 'mp3', { program }).next()).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await vi.advanceTimersByTimeAsync(30_000);
    await refused;
  });

  test('in a read that never ends is ended by an abort', async () => {
    const stop = new AbortController();
    async function* stuck() {
      yield mp3;
      await new Promise(() => undefined);
    }
    const next = decodeByFfmpeg(stuck(), 'mp3', { program: await hanging(25), signal: stop.signal }).next();
    setTimeout(() => stop.abort(new Error('cancelled')), 100);
    const started = performance.now();
    await expect(next).rejects.toThrow('cancelled');
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});
