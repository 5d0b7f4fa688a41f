import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mediaKinds } from '../../../../activities/media/index.js';
import { createAudioPort, inspectorOf } from '../../../../media/index.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { media } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { MediaKind } from '../../../../pipelines/media.js';
import { MEDIA_WORK, type MediaWork } from '../../../../pipelines/stages/index.js';
import { type ArtifactStore, openFileStore, withOutputBudget } from '../../../../stores/artifacts/index.js';
import { ffmpeg, remade, video } from '../../../support/ffmpeg.js';
import { collect, pieces, wavFile } from '../../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-work-'));
  store = await openFileStore(path.join(root, 'store'));
});
afterAll(() => rm(root, { recursive: true }));

const put = (kind: MediaKind, file: Buffer, tenant = 'acme') =>
  store.put(tenant, pieces(file, 10_000), inspectorOf(kind));

interface Own {
  readonly signal?: AbortSignal;
  readonly program?: string;
  readonly tenant?: string;
}

/** Carries out a use of `media` as a worker does. */
async function run<O>(
  {
    kind,
    model,
    with: options,
    output,
  }: { kind: string; model: string; with: JsonObject; output: { parse(value: unknown): O } },
  input: object,
  { signal = new AbortController().signal, program = ffmpeg, tenant = 'acme' }: Own = {},
): Promise<O> {
  const work = new Map(
    mediaKinds({ storeOf: () => withOutputBudget(store, Number.POSITIVE_INFINITY), ffmpeg: program }),
  ).get(kind);
  const audio = createAudioPort(store, tenant, { ffmpeg: program, signal });
  const request = { model, with: options, input: JSON.parse(JSON.stringify(input)) as JsonObject, tenant };
  return output.parse(await work?.(request, { audio, signal, idempotencyKey: 'k' }));
}

const bytesOf = async ({ uri }: Artifact) => Buffer.concat(await collectBytes(store.read('acme', uri)));
const collectBytes = async (chunks: AsyncIterable<Uint8Array>) => {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
};
const refused = (code: string, message = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a video', () => {
  let clip: Artifact;
  beforeAll(async () => {
    clip = await put('video', video('mp4', 3));
  });

  test.each([
    ['mp4', 'h264', 'aac'],
    ['webm', 'vp8', 'opus'],
    ['matroska', 'h264', 'aac'],
    ['avi', 'h264', 'aac'],
  ] as const)('%s is probed by its packets', async (as, codec, sound) => {
    const probed = await run(media.probe(), { media: await put('video', video(as, 3)) });
    expect(probed).toMatchObject({
      video: { codec, width: 320, height: 240, frameRate: expect.closeTo(10, 0) },
      audio: { codec: sound, channels: 1 },
    });
    expect(Math.abs((probed.durationMs ?? 0) - 3_000)).toBeLessThan(100);
  });

  test('gives frames, evenly where there are too many', async () => {
    const { frames } = await run(media.frames({ every: '1s', width: 160 }), { video: clip });
    expect(frames.map(({ atMs }) => atMs)).toEqual([0, 1_000, 2_000]);
    expect(frames[0]?.image).toMatchObject({ mime: 'image/jpeg' });
    // Of a video that is shorter than the interval, the first.
    const one = await run(media.frames({ every: '5s', width: 160 }), { video: clip });
    expect(one.frames).toEqual(frames.slice(0, 1));
    const few = await run(media.frames({ every: '100ms', most: 2 }), { video: clip });
    expect(few.frames).toHaveLength(2);
    expect(few.frames[1]?.atMs).toBeGreaterThanOrEqual(1_500);
    const seen = await Promise.all(frames.map(async ({ image }) => sharp(await bytesOf(image)).metadata()));
    expect(seen.map(({ width, height }) => [width, height])).toEqual(Array(3).fill([160, 120]));
    // Another picture each time: the source counts the seconds.
    expect(new Set(frames.map(({ image }) => image.sha256)).size).toBe(3);
  });

  test.each(['webm', 'avi'] as const)('%s gives frames too', async (as) => {
    const { frames } = await run(media.frames({ every: '1s' }), { video: await put('video', video(as, 2)) });
    expect(frames.map(({ atMs }) => atMs)).toEqual([0, 1_000]);
  });

  test('whose frames come irregularly gives what is on the screen at each time', async () => {
    // Pictures for the first second and from the tenth on, black first, then white.
    const paused = video('matroska', 12, {
      silent: true,
      picture: 'color=s=64x48:r=10',
      codec: [
        ...['-vf', "drawbox=t=fill:c=white:enable='gte(t,5)',select='lt(t,1)+gte(t,10)'"],
        ...['-c:v', 'libx264', '-fps_mode', 'vfr'],
      ],
    });
    const { frames } = await run(media.frames({ every: '2s' }), { video: await put('video', paused) });
    expect(frames.map(({ atMs }) => atMs)).toEqual([0, 2_000, 4_000, 6_000, 8_000, 10_000]);
    const lights = await Promise.all(
      frames.map(async ({ image }) => (await sharp(await bytesOf(image)).stats()).channels[0]?.mean ?? 0),
    );
    expect(lights.map((light) => light > 128)).toEqual([false, false, false, false, false, true]);
  });

  test('gives its sound', async () => {
    const { audio } = await run(media.sound(), { video: clip });
    expect(audio).toMatchObject({ mime: 'audio/wav', channels: 1, sampleRate: 44_100 });
    expect(Math.abs((audio.durationMs ?? 0) - 3_000)).toBeLessThan(100);
    const file = await bytesOf(audio);
    const sizes = [file.readUInt32LE(4), file.toString('latin1', 36, 40), file.readUInt32LE(40)];
    expect(sizes, 'its header tells its length').toEqual([file.length - 8, 'data', file.length - 44]);
    const silent = await put('video', video('mp4', 1, { silent: true }));
    await expect(run(media.sound(), { video: silent })).rejects.toEqual(refused('INVALID_MEDIA', /no audio track/));
  });

  test('is cut, resized and given another sound', async () => {
    const cut = await run(media.clip(), { video: clip, startMs: 1_000, endMs: 2_500 });
    const small = await run(media.resizeVideo({ width: 161 }), cut);
    const sound = await put('audio', wavFile({ seconds: 1, sampleRate: 8_000 }));
    const other = await run(media.mux(), { ...small, audio: sound });
    const probed = await Promise.all([cut, small, other].map(({ video }) => run(media.probe(), { media: video })));
    const lengths = probed.map(({ durationMs = 0 }) => Math.round(durationMs / 100) / 10);
    expect(Math.abs((lengths[0] ?? 0) - 1.5)).toBeLessThanOrEqual(0.2);
    expect(probed[1]?.video).toMatchObject({ width: 160, height: 120 });
    expect(Math.abs((lengths[2] ?? 0) - 1)).toBeLessThanOrEqual(0.3);
    await expect(run(media.clip(), { video: clip, startMs: 9_000 })).rejects.toEqual(
      refused('INVALID_INPUT', /no part/),
    );
  });

  test('lying on its side is resized by the side that is seen', async () => {
    const turned = remade(video('mp4', 1, { silent: true }), [
      ...['-f', 'mov', '-display_rotation', '90', '-i', 'pipe:0', '-c', 'copy', '-f', 'mp4'],
    ]);
    const { video: narrow } = await run(media.resizeVideo({ width: 120 }), { video: await put('video', turned) });
    expect((await run(media.probe(), { media: narrow })).video).toMatchObject({ width: 120, height: 160 });
  });

  test.each([
    ['a side', { width: 4_096 }, /video.*would have a side of more than 4096 pixels/],
    ['all its pixels', { height: 4_096, width: 4_096 }, /would have more than 9437184 pixels/],
  ] as const)('is not made larger than 4K by %s', async (_, size, message) => {
    const tall = await put('video', video('mp4', 0.2, { silent: true, picture: 'color=s=256x1024:r=10' }));
    await expect(run(media.resizeVideo(size), { video: tall })).rejects.toEqual(refused('INVALID_INPUT', message));
  });

  test('whose frames change their size is not made larger by the later ones', async () => {
    const jpegs = [
      { width: 64, height: 36 },
      { width: 16, height: 4_096 },
    ].map((size) =>
      sharp({ create: { ...size, channels: 3, background: '#808080' } })
        .jpeg()
        .toBuffer(),
    );
    const changing = remade(Buffer.concat(await Promise.all(jpegs)), [
      ...['-f', 'image2pipe', '-c:v', 'mjpeg', '-i', 'pipe:0', '-c', 'copy', '-f', 'avi'],
    ]);
    // By its proportions the second one would have 4 billion pixels.
    const made = await run(media.resizeVideo({ width: 4_096 }), { video: await put('video', changing) });
    expect((await run(media.probe(), { media: made.video })).video).toMatchObject({ width: 4_096, height: 2_304 });
  });
});

describe('images', () => {
  const picture = async (width: number, height: number) =>
    put(
      'image',
      await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
        .png()
        .toBuffer(),
    );
  const size = async (image: Artifact) => {
    const { width, height } = await sharp(await bytesOf(image)).metadata();
    return [width, height];
  };

  test('are resized, cropped and cut into tiles', async () => {
    const image = await picture(100, 60);
    expect(await run(media.probe(), { media: image })).toEqual({ video: { codec: 'png', width: 100, height: 60 } });
    expect(await size((await run(media.resize({ width: 50 }), { image })).image)).toEqual([50, 30]);
    const box = { x: 90, y: -5, width: 40, height: 20 };
    expect(await size((await run(media.crop({ margin: 5 }), { image, box })).image)).toEqual([15, 20]);
    const { tiles } = await run(media.tile({ size: 48, overlap: 8 }), { image });
    expect(tiles.map(({ x, y }) => [x, y])).toEqual([0, 12].flatMap((y) => [0, 40, 52].map((x) => [x, y])));
    expect(await size(tiles[0]?.image as Artifact)).toEqual([48, 48]);
  });

  test('show boxes, and labels as text whatever they are', async () => {
    const image = await picture(200, 100);
    const label = '</text><image href="file:///etc/passwd"/>&amp;\u0000';
    const box = { x: 20, y: 30, width: 50, height: 40 };
    const drawn = await run(media.boxes(), {
      image,
      detections: [
        { label, score: 0.5, box },
        { label: 'a', score: 1 },
      ],
    });
    const { data, info } = await sharp(await bytesOf(drawn.image))
      .raw()
      .toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => [...data.subarray((y * info.width + x) * info.channels).subarray(0, 3)];
    const [red = 0, green = 255] = at(20, 50);
    expect(red - green).toBeGreaterThan(100);
    expect(at(45, 50)).toEqual([255, 255, 255]);
  });

  test.each([
    ['a box outside', media.crop(), { box: { x: 500, y: 0, width: 5, height: 5 } }, /lies outside/],
    ['too many tiles', media.tile({ size: 16, overlap: 15 }), {}, /more than 400 tiles/],
    ['a side beyond the limit', media.resize({ width: 9_000 }), {}, /width/],
  ] as const)('%s is refused', async (_, use, input, message) => {
    const image = await picture(300, 300);
    await expect(run(use as unknown as ReturnType<typeof media.probe>, { image, ...input })).rejects.toEqual(
      refused('INVALID_INPUT', message),
    );
  });
});

describe('recordings', () => {
  const tone = (seconds: number, sampleRate: number, amplitude: number) =>
    put('audio', wavFile({ seconds, sampleRate, amplitude, hz: 0 === amplitude ? 0 : 440 }));

  test('are cut at samples', async () => {
    const source = await tone(1, 8_000, 0.5);
    const { audio } = await run(media.clipAudio(), { audio: source, startMs: 250, endMs: 500 });
    expect(audio).toMatchObject({ durationMs: 250, sampleRate: 8_000 });
    const port = createAudioPort(store, 'acme');
    const [whole, part] = await Promise.all(
      [source, audio].map((each) => collect(port.read(each, { sampleRate: 8_000 }))),
    );
    expect([...(part ?? [])]).toEqual([...(whole ?? [])].slice(2_000, 4_000));
  });

  test('are added up, clipped, as long as the longest', async () => {
    const loud = await tone(0.5, 8_000, 0.9);
    const { audio } = await run(media.mix(), { audios: [loud, loud, await tone(1, 8_000, 0)] });
    expect(audio).toMatchObject({ durationMs: 1_000, sampleRate: 8_000 });
    const samples = await collect(createAudioPort(store, 'acme').read(audio, { sampleRate: 8_000 }));
    expect(Math.max(...samples)).toBeGreaterThan(0.99);
  });

  test('are split as by `split`', async () => {
    const { parts } = await run(media.split({ longest: '1s' }), { audio: await tone(2.5, 8_000, 0.5) });
    expect(parts.length).toBeGreaterThanOrEqual(3);
  });
});

describe('metadata', () => {
  test('of a video, such as its title, is not copied', async () => {
    const tags = ['-metadata', 'title=Our house', '-metadata', 'comment=+48.8577+002.2950'];
    const file = video('mp4', 2, { codec: ['-c:v', 'libx264', '-c:a', 'aac', ...tags] });
    const clip = await put('video', file);
    const made = await Promise.all([
      run(media.clip(), { video: clip, startMs: 0, endMs: 1_000 }),
      run(media.resizeVideo({ width: 160 }), { video: clip }),
      run(media.mux(), { video: clip, audio: await put('audio', wavFile({ seconds: 1, sampleRate: 8_000 })) }),
    ]);
    for (const tag of ['Our house', '+48.8577+002.2950']) {
      expect(file.includes(tag)).toBe(true);
      for (const { video } of made) expect((await bytesOf(video)).includes(tag)).toBe(false);
    }
  });

  test('of an image, such as EXIF, is not copied', async () => {
    const blank = sharp({ create: { width: 100, height: 60, channels: 3, background: '#ffffff' } });
    const file = await blank
      .jpeg()
      .withExif({ IFD0: { Artist: 'Ann Smith' }, IFD3: { GPSLatitude: '48/1 51/1 0/1', GPSLatitudeRef: 'N' } })
      .toBuffer();
    expect(file.includes('Ann Smith')).toBe(true);
    const image = await put('image', file);
    const box = { x: 10, y: 10, width: 20, height: 20 };
    const made = await Promise.all([
      run(media.resize({ width: 50 }), { image }),
      run(media.crop(), { image, box }),
      run(media.boxes(), { image, detections: [{ label: 'a', score: 1, box }] }),
      run(media.tile({ size: 64 }), { image }).then(({ tiles }) => tiles[0] as { image: Artifact }),
    ]);
    for (const each of made) {
      const bytes = await bytesOf(each.image);
      expect(bytes.includes('Ann Smith')).toBe(false);
      expect((await sharp(bytes).metadata()).exif).toBeUndefined();
    }
  });
});

describe('what must not be', () => {
  test('another tenant’s file does not exist', async () => {
    const theirs = await put('video', video('mp4', 1), 'rival');
    await expect(run(media.frames(), { video: theirs })).rejects.toEqual(refused('ARTIFACT_NOT_FOUND'));
  });

  /** Stores bytes under a type that they do not have, as an earlier release or a faulty writer could. */
  const disguised = (bytes: Buffer, mime = 'video/mp4') =>
    store.put('acme', pieces(bytes, 10_000), { push: () => undefined, end: () => ({ mime }) });

  test('a playlist or a list of files opens neither files nor addresses, whatever it is called', async () => {
    let asked = 0;
    const server = createServer((_, reply) => {
      asked += 1;
      reply.end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.ts`;
    try {
      for (const text of [
        `#EXTM3U\n#EXTINF:10,\n${url}\n#EXT-X-ENDLIST\n`,
        `ffconcat version 1.0\nfile '${url}'\n`,
        `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>${url}</BaseURL></MPD>`,
      ]) {
        for (const mime of ['video/mp4', 'video/webm', 'video/x-msvideo']) {
          const file = await disguised(Buffer.from(text), mime);
          await expect(run(media.probe(), { media: file })).rejects.toEqual(refused('INVALID_MEDIA'));
        }
      }
      expect(asked).toBe(0);
    } finally {
      server.close();
    }
  });

  test('more pixels than 4K has are not decoded', async () => {
    const huge = await put('video', video('mp4', 0.1, { silent: true, picture: 'color=s=5000x4000:r=10' }));
    await expect(run(media.frames(), { video: huge })).rejects.toEqual(refused('INVALID_MEDIA'));
  });

  test('a codec that nobody uses is not decoded', async () => {
    const odd = await put('video', video('matroska', 1, { silent: true, codec: ['-c:v', 'ffv1'] }));
    await expect(run(media.frames(), { video: odd })).rejects.toEqual(refused('INVALID_MEDIA'));
  });

  test.each([0.2, 0.5, 0.9])(
    'a file that is cut at %s of its length is refused, not read as far as it goes',
    async (share) => {
      const whole = video('mp4', 2);
      const file = await disguised(whole.subarray(0, Math.floor(whole.length * share)));
      await expect(run(media.frames(), { video: file })).rejects.toEqual(refused('INVALID_MEDIA'));
    },
  );

  test('an ffmpeg that hangs is killed when the run is cancelled', async () => {
    const program = path.join(root, 'hangs');
    const pidFile = path.join(root, 'pid');
    await writeFile(program, `#!/bin/sh\necho $$ > ${pidFile}\nexec sleep 600\n`);
    await chmod(program, 0o755);
    const leaving = new AbortController();
    const file = await put('video', video('mp4', 1));
    const running = run(media.frames(), { video: file }, { program, signal: leaving.signal });
    const settled = running.catch((error: unknown) => error);
    let pid = '';
    while (pid === '') {
      await sleep(20);
      pid = (await readFile(pidFile, 'utf8').catch(() => '')).trim();
    }
    leaving.abort(new Error('cancelled'));
    expect(await settled).toMatchObject({ message: 'cancelled' });
    expect(() => process.kill(Number(pid), 0)).toThrow();
  });

  test('without ffmpeg the error says so', async () => {
    const file = await put('video', video('mp4', 1));
    const missing = run(media.probe(), { media: file }, { program: path.join(root, 'none') });
    await expect(missing).rejects.toEqual(refused('CONVERSION_UNAVAILABLE', /install ffmpeg/));
  });

  test('an operation of another release is named', async () => {
    const use = { ...media.probe(), with: { work: 'paint' } };
    await expect(run(use, {})).rejects.toEqual(refused('INVALID_INPUT', /paint/));
  });

  test('every operation has a builder', () => {
    const made = [
      ...[media.probe(), media.frames(), media.sound(), media.clip(), media.clipAudio(), media.resize({ width: 1 })],
      ...[media.resizeVideo({ width: 2 }), media.crop(), media.tile({ size: 64 }), media.boxes(), media.mix()],
      ...[media.mux(), media.split()],
    ].map(({ with: { work } }) => work as MediaWork);
    expect(made.sort()).toEqual((Object.keys(MEDIA_WORK) as MediaWork[]).sort());
  });
});
