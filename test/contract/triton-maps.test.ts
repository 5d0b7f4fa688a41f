import sharp from 'sharp';
import { describe, expect, it, vi } from 'vitest';
import type { Backend, CallContext } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { parseModels } from '../../activities/pools/index.js';
import { carryOut } from '../../cli/doctor/examine.js';
import { poolChecks } from '../../cli/doctor/pools-check.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Detection } from '../../pipelines/stages/index.js';
import { isSlow } from '../support/findings.js';
import { testSettings } from '../support/settings.js';
import { stubOf } from '../support/triton-models.js';
import { artifact, context, limit, mappedModels } from './mapped-models.js';

const { endpoint, pool } = mappedModels(['colours', 'scaler', 'colours-of-files', 'finder', 'encoder']);

/** An image of one colour, as a file. */
const image = (background: string, width = 90, height = 60) =>
  sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();

const LABELS = ['red', 'green', 'blue'];
const COLOURS = {
  inputs: { pixel_values: { from: 'image', mean: 0.5, std: 0.25 } },
  outputs: { logits: { to: 'scores', activation: 'softmax', labels: LABELS } },
};

describe('an image classifier in half precision', () => {
  const classify = async (backend: Backend, file: Buffer, labels = LABELS) =>
    (
      await backend.invoke(
        { kind: 'classify', model: 'colours', with: { labels }, input: { image: artifact } },
        context({ bytes: async () => file }),
      )
    ).output;

  it('is served: decoded, sized, scaled, in FP16 and the model’s layout, its logits made scores', async () => {
    const backend = pool('classify', COLOURS);
    const { label, score, scores } = await classify(backend, await image('#00ff00'));
    expect(label).toBe('green');
    expect(score).toBeCloseTo(Math.exp(10) / (Math.exp(10) + 2), 3);
    expect(Object.keys(scores as object)).toEqual(LABELS);
    expect((await classify(backend, await image('#0000ff'))).label).toBe('blue');
  });

  it('gives the scores in the stage’s order, and names a label that it does not have', async () => {
    const backend = pool('classify', COLOURS);
    const { label, scores } = await classify(backend, await image('#ff0000'), ['blue', 'red']);
    expect(label).toBe('red');
    expect(Object.keys(scores as object)).toEqual(['blue', 'red']);
    await expect(classify(backend, await image('#ff0000'), ['red', 'violet'])).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('no label "violet" (it has: red, green, blue)'),
    });
  });

  it('says otherwise where no score reaches the threshold', async () => {
    const unsure = { logits: { ...COLOURS.outputs.logits, threshold: 0.6, otherwise: 'none' } };
    const backend = pool('classify', { ...COLOURS, outputs: unsure });
    const labels = [...LABELS, 'none'];
    expect((await classify(backend, await image('#808080'), labels)).label).toBe('none');
    expect((await classify(backend, await image('#ff0000'), labels)).label).toBe('red');
  });

  it('gets exactly the values that the map says', async () => {
    const backend = pool('embed', {
      inputs: {
        pixel_values: { from: 'image', colors: 'bgr', mean: [0, 0.5, 1], std: [1, 0.5, 2], fit: 'contain', pad: 51 },
      },
      outputs: { seen: { to: 'embedding' } },
    });
    const call = { kind: 'embed', model: 'colours', with: {}, input: { image: artifact } };
    const file = await image('#ff8000', 64, 32);
    const { embedding } = (await backend.invoke(call, context({ bytes: async () => file }))).output;
    // The image is twice as wide as high: its margin, of a fifth, is at the top and the bottom.
    const margin = [0.2, (0.2 - 0.5) / 0.5, (0.2 - 1) / 2];
    const both = [...margin, ...margin];
    const length = Math.hypot(...both);
    for (const [i, value] of (embedding as number[]).entries()) expect(value).toBeCloseTo((both[i] ?? 0) / length, 3);
  });

  it('answers its canary, and its map is described for the doctor', async () => {
    const backend = pool('classify', COLOURS);
    await backend.probe('colours', 'classify', limit());
    expect(await backend.tensors?.('colours', 'classify', limit())).toEqual([
      'pixel_values FP16 [-1,3,32,32] ← image, CHW rgb 32×32 (fill), value − 0.5 ÷ 0.25',
      'logits FP16 [-1,3] → scores, softmax, labels red green blue',
    ]);
  });

  it.each([
    [
      'an input that it does not have',
      { ...COLOURS, inputs: { pixel_value: { from: 'image' } } },
      'did you mean "pixel_values"?',
    ],
    ['an input that the map lacks', { ...COLOURS, inputs: {} }, 'the model needs the input pixel_values'],
    ['another type', { ...COLOURS, inputs: { pixel_values: { from: 'image', dtype: 'FP32' } } }, 'is FP16, not FP32'],
    [
      'another size',
      { ...COLOURS, inputs: { pixel_values: { from: 'image', width: 224 } } },
      'the width 32 instead of 224',
    ],
    ['an output that it does not have', { ...COLOURS, outputs: { scores: { to: 'scores' } } }, 'no output scores'],
  ])('names %s before anything is called', async (_, tensors, message) => {
    const backend = pool('classify', tensors as JsonObject);
    const refused = { code: 'BACKEND_REJECTED', message: expect.stringContaining(message), details: { endpoint } };
    await expect(classify(backend, await image('#ff0000'))).rejects.toMatchObject(refused);
    await expect(backend.probe('colours', 'classify', limit())).rejects.toMatchObject(refused);
  });

  it('refuses what is no image, and one of more pixels than memory should hold', async () => {
    const backend = pool('classify', COLOURS);
    await expect(classify(backend, Buffer.from('<svg/>'))).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
    await expect(classify(backend, (await image('#ff0000')).subarray(0, 60))).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
    });
    const bomb = await image('#ff0000', 12_000, 12_000);
    await expect(classify(backend, bomb)).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: expect.stringContaining('pixel'),
    });
  });
});

describe('doctor', () => {
  const examined = (tensors: object) => {
    const endpoints = [{ url: endpoint, device: 'cpu0' }];
    const flowers = { connector: 'triton', kind: 'classify', model: 'colours', endpoints, options: { tensors } };
    return carryOut(poolChecks(testSettings(), parseModels({ flowers }, 'test'), createConnectors()));
  };

  it('prints the map of a pool, tensor by tensor', async () => {
    const findings = await examined(COLOURS);
    expect(findings.filter((finding) => finding.state !== 'ok' && !isSlow(finding))).toEqual([]);
    const lines = findings.filter(({ id }) => id === 'pool.tensors').map(({ detail }) => detail);
    expect(lines).toEqual([
      expect.stringMatching(/^pixel_values FP16 .* ← image/),
      expect.stringMatching(/^logits .* → scores/),
    ]);
  });

  it('says what does not fit, and where to correct it', async () => {
    const findings = await examined({ ...COLOURS, outputs: { scores: { to: 'scores' } } });
    expect(findings.filter(({ state }) => state === 'fail')).toEqual([
      expect.objectContaining({
        detail: expect.stringContaining('no output scores'),
        remedy: 'correct options.tensors of the pool',
      }),
    ]);
    const [unknown] = await examined({ ...COLOURS, output: {} });
    expect(unknown).toMatchObject({
      id: 'settings.models',
      state: 'fail',
      detail: expect.stringContaining('flowers.options.tensors'),
    });
  });
});

describe('an ensemble', () => {
  it('is served by its own tensors: UINT8, channels last, BGR', async () => {
    const backend = pool('classify', {
      inputs: { IMAGE_HWC: { from: 'image', colors: 'bgr' } },
      outputs: { CLASS_SCORES: { to: 'scores', activation: 'softmax' } },
    });
    const file = await image('#ff0000');
    const call = { kind: 'classify', model: 'colours-of-files', with: { labels: LABELS }, input: { image: artifact } };
    const { output } = await backend.invoke(call, context({ bytes: async () => file }));
    expect(output.label).toBe('red');
    await backend.probe('colours-of-files', 'classify', limit());
  });

  it('is repaired by reloading what is broken of it, and nothing else', async () => {
    const backend = pool('classify', {
      inputs: { IMAGE_HWC: { from: 'image', colors: 'bgr' } },
      outputs: { CLASS_SCORES: { to: 'scores', activation: 'softmax' } },
    });
    const [dead, other] = [stubOf('colours'), stubOf('scaler')];
    process.kill(dead, 'SIGKILL');
    await vi.waitFor(
      () =>
        expect(backend.probe('colours-of-files', 'classify', limit())).rejects.toMatchObject({
          code: 'BACKEND_BROKEN',
        }),
      { timeout: 60_000, interval: 200 },
    );
    await backend.heal?.('colours-of-files', limit());
    await backend.probe('colours-of-files', 'classify', limit());
    expect(stubOf('colours')).not.toBe(dead);
    expect(stubOf('scaler')).toBe(other);
  });
});

describe('a detector', () => {
  const tensors = {
    inputs: { images: { from: 'image', fit: 'contain', pad: 255 } },
    outputs: {
      det_boxes: { to: 'boxes', box: 'cxcywh', unit: 'share', nms: 0.5 },
      det_scores: { to: 'scores', threshold: 0.3 },
      det_classes: { to: 'classes', labels: ['red', 'blue'] },
    },
  };
  const rectangle = (background: string, left: number, top: number, width: number, height: number) => ({
    input: { create: { width, height, channels: 3 as const, background } },
    left,
    top,
  });

  it('gives masks of the image given, whose pixels are those of the thing', async () => {
    const outputs = { ...tensors.outputs, det_masks: { to: 'masks', activation: 'sigmoid' } };
    // An L: what its box has and it has not is not white.
    const file = await sharp({ create: { width: 64, height: 128, channels: 3, background: '#ffffff' } })
      .composite([rectangle('#ff0000', 10, 20, 10, 40), rectangle('#ff0000', 10, 50, 30, 10)])
      .png()
      .toBuffer();
    const written: Uint8Array[] = [];
    const artifacts: CallContext['artifacts'] = {
      read: () => Promise.reject(new Error('reads nothing')),
      async write(bytes, { type }) {
        written.push(bytes);
        return { ...artifact, mime: type };
      },
    };
    const call = { kind: 'detect', model: 'finder', with: { masks: true }, input: { image: artifact } };
    const { output } = await pool('detect', { ...tensors, outputs }).invoke(
      call,
      context({ bytes: async () => file, artifacts }),
    );
    expect(output.detections).toMatchObject([{ label: 'red', mask: { mime: 'image/png' } }]);
    const { data, info } = await sharp(written[0]).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([64, 128]);
    const white = (x: number, y: number) => data[(y * info.width + x) * info.channels] === 255;
    expect([white(15, 30), white(15, 55), white(30, 55)]).toEqual([true, true, true]);
    expect([white(30, 30), white(5, 30), white(15, 70)]).toEqual([false, false, false]);
    const count = Array.from({ length: 64 * 128 }, (_, i) => white(i % 64, Math.floor(i / 64))).filter(Boolean).length;
    // Of 600 pixels; the detector does not count those at the edges, which are half white at the half size that it sees.
    expect(count).toBeGreaterThan(300);
    expect(count).toBeLessThanOrEqual(600);
  });

  it('gives boxes in the pixels of the image given, each thing once', async () => {
    const backend = pool('detect', tensors);
    // Twice as high as the model's input, and half as wide: it is seen at half its size, between margins.
    const file = await sharp({ create: { width: 64, height: 128, channels: 3, background: '#ffffff' } })
      .composite([rectangle('#ff0000', 10, 20, 20, 40), rectangle('#0000ff', 40, 100, 12, 8)])
      .png()
      .toBuffer();
    const call = { kind: 'detect', model: 'finder', with: {}, input: { image: artifact } };
    const detect = async (options: JsonObject = {}) =>
      (await backend.invoke({ ...call, with: options }, context({ bytes: async () => file }))).output
        .detections as unknown as Detection[];
    const found = await detect();
    expect(found.map(({ label, score }) => [label, score.toFixed(1)])).toEqual([
      ['red', '0.9'],
      ['blue', '0.8'],
    ]);
    const [red, blue] = found.map(({ box }) => box);
    const near = (value: number | undefined, wanted: number) =>
      expect(Math.abs((value ?? 0) - wanted)).toBeLessThanOrEqual(4);
    for (const [value, wanted] of [
      [red?.x, 10],
      [red?.y, 20],
      [red?.width, 20],
      [red?.height, 40],
    ] as const)
      near(value, wanted);
    for (const [value, wanted] of [
      [blue?.x, 40],
      [blue?.y, 100],
      [blue?.width, 12],
      [blue?.height, 8],
    ] as const)
      near(value, wanted);
    expect((await detect({ labels: ['blue'] })).map(({ label }) => label)).toEqual(['blue']);
    expect((await detect({ threshold: 0.85 })).map(({ label }) => label)).toEqual(['red']);
    await backend.probe('finder', 'detect', limit());
  });
});

describe('an encoder of texts, images and sounds', () => {
  const RATE = 16_000;
  const tensors = {
    inputs: {
      caption: { from: 'text', optional: true },
      pixel_values: { from: 'image', mean: 0.5, std: 0.5, optional: true },
      waveform: { from: 'audio', sampleRate: RATE, seconds: 5, optional: true },
    },
    outputs: { features: { to: 'embedding' } },
  };
  /** A second of one pitch. */
  const tone = (hertz: number): CallContext['audio'] => ({
    async *read() {
      yield Float32Array.from({ length: RATE }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / RATE));
    },
    write: () => Promise.reject(new Error('writes nothing')),
  });
  const similar = (a: readonly number[] = [], b: readonly number[] = []) =>
    a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

  it('puts what is alike together, of a mixed list and one by one', async () => {
    const backend = pool('embed', tensors);
    const files = { red: await image('#ff0000'), blue: await image('#0000ff') };
    const photo = (name: keyof typeof files) => ({ image: { ...artifact, uri: name } });
    const call = (input: object) => ({ kind: 'embed', model: 'encoder', with: {}, input: input as JsonObject });
    const bytes = async ({ uri }: { uri: string }) => files[uri as keyof typeof files];
    const items = [{ text: 'a red mill' }, photo('blue'), { audio: artifact }, photo('red'), { text: 'the blue sea' }];
    const { output } = await backend.invoke(call({ items }), context({ bytes, audio: tone(4_000) }));
    const [redText, bluePhoto, highTone, redPhoto, blueText] = output.embeddings as number[][];
    for (const vector of output.embeddings as number[][]) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect(similar(redText, redPhoto)).toBeGreaterThan(0.9);
    expect(similar(blueText, bluePhoto)).toBeGreaterThan(0.9);
    expect(similar(highTone, blueText)).toBeGreaterThan(0.9);
    for (const [a, b] of [
      [redText, bluePhoto],
      [blueText, redPhoto],
      [highTone, redPhoto],
    ]) {
      expect(similar(a, b)).toBeLessThan(0.3);
    }
    const alone = await backend.invoke(call(photo('blue')), context({ bytes }));
    expect(alone.output.embedding).toEqual(bluePhoto);
    await backend.probe('encoder', 'embed', limit());
  });

  it('says what it cannot take', async () => {
    const { waveform: _, ...inputs } = tensors.inputs;
    const call = { kind: 'embed', model: 'encoder', with: {}, input: { audio: artifact } };
    await expect(pool('embed', { ...tensors, inputs }).invoke(call, context())).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
  });
});
