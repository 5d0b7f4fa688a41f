import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend, CallContext } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { parseModels } from '../../activities/pools/index.js';
import { carryOut } from '../../cli/doctor/examine.js';
import { poolChecks } from '../../cli/doctor/pools-check.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Detection } from '../../pipelines/stages/index.js';
import { isSlow } from '../support/findings.js';
import { address } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { loadTestModel, stubOf, type TestModel } from '../support/triton-models.js';
import { noAudio } from './connector-contract.js';

/* Stage kinds served by models whose tensors are not Millrace's, through the tensor map of their pool, on a real Triton. */

const endpoint = address('TRITON_URL');
const client = new TritonClient(endpoint);
const limit = () => AbortSignal.timeout(60_000);
const MODELS: TestModel[] = [
  'colours',
  'scaler',
  'colours-of-files',
  'streaming-voice',
  'chapters',
  'text-generator',
  'finder',
];
const opened: Backend[] = [];

beforeAll(async () => {
  for (const model of MODELS) await loadTestModel(client, model);
});
afterAll(async () => {
  for (const backend of opened) backend.close();
  for (const model of MODELS.toReversed()) await client.unload(model, limit());
  client.close();
});

/** A backend as a pool of this kind with these options gets it. */
function pool(
  kind: string,
  tensors: JsonObject,
  options: JsonObject = {},
  connector = 'triton',
  url = endpoint,
): Backend {
  const found = createConnectors().get(connector);
  if (!found) throw new Error(`no connector ${connector}`);
  const backend = found.connect(url, { kind, options: { tensors, ...options } });
  opened.push(backend);
  return backend;
}

/** An image of one colour, as a file. */
const image = (background: string, width = 90, height = 60) =>
  sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
const artifact = { uri: `artifact://t/${'0'.repeat(64)}`, sha256: '0'.repeat(64), mime: 'image/png', bytes: 1 };

const context = (parts: Partial<CallContext> = {}): CallContext => ({
  signal: limit(),
  audio: noAudio,
  emit: () => undefined,
  checkpoint: () => undefined,
  ...parts,
});

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

describe('a decoupled voice', () => {
  const tensors = {
    inputs: { sentence: { from: 'text' }, speaker: { from: 'voice', optional: true } },
    outputs: { waveform: { to: 'audio', sampleRate: 24_000 } },
  };
  const speak = async (voice?: string) => {
    const chunks: (string | number)[] = [];
    const written: { samples: Int16Array; sampleRate: number }[] = [];
    const audio: CallContext['audio'] = {
      read: noAudio.read,
      async write(samples, { sampleRate }) {
        written.push({ samples, sampleRate });
        return artifact;
      },
    };
    const text = 'The capital of France is Paris.';
    const { usage } = await pool('synthesize', tensors).invoke(
      {
        kind: 'synthesize',
        model: 'streaming-voice',
        with: { ...(voice !== undefined && { voice }) },
        input: { text },
      },
      context({ audio, emit: (chunk) => void chunks.push(chunk) }),
    );
    return { chunks, written, usage };
  };

  it('is heard piece by piece, and whole', async () => {
    const { chunks, written, usage } = await speak();
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks[0]).toBe(6_000);
    const [{ samples, sampleRate } = { samples: new Int16Array(), sampleRate: 0 }] = written;
    expect(sampleRate).toBe(24_000);
    expect(samples.length).toBe(chunks.reduce((sum: number, part) => sum + Number(part), 0));
    expect(usage?.audioSeconds).toBeCloseTo(samples.length / 24_000);
    const loud = await speak('loud');
    const peak = (of: Int16Array) => of.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    expect(peak(loud.written[0]?.samples ?? new Int16Array())).toBeGreaterThan(1.5 * peak(samples));
  });
});

describe('a model with text_input and text_output, which stands for the vLLM and TensorRT-LLM backends', () => {
  const backend = () => {
    const found = createConnectors().get('triton')?.connect(endpoint, { kind: 'chat' });
    if (!found) throw new Error('no connector');
    opened.push(found);
    return found;
  };
  const say = async (input: JsonObject, options: JsonObject = {}, parts: Partial<CallContext> = {}) => {
    const deltas: (string | number)[] = [];
    const call = { kind: 'chat', model: 'text-generator', with: { maxTokens: 16, temperature: 0, ...options }, input };
    const { output } = await backend().invoke(call, context({ emit: (delta) => void deltas.push(delta), ...parts }));
    return { text: output.text, finish: output.finish, deltas };
  };

  it('streams its words, without the prompt, by its sampling parameters', async () => {
    expect(await say({ prompt: 'one two three' })).toEqual({
      text: 'three two one',
      finish: 'stop',
      deltas: ['three', ' two', ' one'],
    });
    expect((await say({ prompt: 'one two three' }, { maxTokens: 2 })).text).toBe('three two');
    expect((await say({ prompt: 'one two three' }, { stop: ['one'] })).text).toBe('three two');
  });

  it('gets a conversation as one text', async () => {
    const history = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    const { text } = await say({ prompt: 'c', history }, { system: 'be kind' });
    expect(text).toBe('Assistant: c User: b Assistant: a User: kind be');
  });

  it('stops to generate when the run is cancelled', async () => {
    const cancelled = async () => Number((await say({ prompt: 'cancelled?' })).text);
    const before = await cancelled();
    const stop = new AbortController();
    const words = Array.from({ length: 16 }, (_, i) => `w${i}`).join(' ');
    // Sixteen seconds: it must not be over when this process sees the first word.
    const slow = say(
      { prompt: words },
      { seed: 1_000 },
      { signal: stop.signal, emit: () => stop.abort(new Error('enough')) },
    );
    await expect(slow).rejects.toThrow('enough');
    await vi.waitFor(async () => expect(await cancelled()).toBe(before + 1), 60_000);
  });

  it('answers its canary, and refuses what text alone cannot carry', async () => {
    await backend().probe('text-generator', 'chat', limit());
    const tools = [{ name: 'f', description: '', schema: {} }];
    await expect(say({ prompt: 'x' }, { tools })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
    await expect(say({ prompt: 'x', images: [artifact] })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  });
});

describe('a recogniser that keeps a sequence', () => {
  it('gets the windows of a call in one sequence: the first starts it, the last ends it', async () => {
    const backend = pool('transcribe', {
      inputs: { pcm: { from: 'audio', sampleRate: 8_000, seconds: 6 } },
      outputs: { hypothesis: { to: 'text' } },
    });
    const audio: CallContext['audio'] = {
      async *read(_, { sampleRate }) {
        for (let second = 0; second < 15; second++) yield new Float32Array(sampleRate).fill(0.1);
      },
      write: noAudio.write,
    };
    const call = { kind: 'transcribe', model: 'chapters', with: {}, input: { audio: artifact } };
    const heard = () => backend.invoke(call, context({ audio })).then(({ output }) => output.text);
    // Two calls at once are two sequences.
    for (const text of await Promise.all([heard(), heard()])) {
      expect(text).toMatch(/^seconds 1 to \d+ seconds \d+ to \d+ seconds \d+ to 15, the end of 15$/);
    }
    await backend.probe('chapters', 'transcribe', limit());
  });
});
