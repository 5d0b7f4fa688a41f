import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { bind } from '../../../../activities/connectors/tensors/bind.js';
import { encode } from '../../../../activities/connectors/tensors/encode.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import { numbersOf } from '../../../../activities/connectors/tensors/numbers.js';
import { priorityOf, requestsOf } from '../../../../activities/connectors/triton/requests.js';
import { readTexts, type Tensor } from '../../../../protocols/open-inference/tensors.js';
import { described, run, signal, wire } from './tensor-run.js';

describe('what a map may say', () => {
  const text = { from: 'text', dtype: 'BYTES', shape: [1] };
  it.each<[string, string, object, string, string]>([
    [
      'a source of another kind',
      'embed',
      { inputs: { a: { from: 'query' } }, outputs: { b: { to: 'embedding' } } },
      'inputs.a.from',
      'must be one of text, image, audio, length, input',
    ],
    [
      'a result of another kind',
      'embed',
      { inputs: { a: text }, outputs: { b: { to: 'scores' } } },
      'outputs.b.to',
      'must be one of embedding, output',
    ],
    ['no result', 'classify', { inputs: { a: text }, outputs: {} }, 'outputs', 'scores, or label, or output'],
    [
      'two results of one sort',
      'embed',
      { inputs: { a: text }, outputs: { b: { to: 'embedding' }, c: { to: 'embedding' } } },
      'outputs',
      'two outputs are "embedding"',
    ],
    [
      'an image’s option of a text',
      'embed',
      { inputs: { a: { ...text, fit: 'cover' } }, outputs: { b: { to: 'embedding' } } },
      'inputs.a.fit',
      'is for images',
    ],
    [
      'a division by zero',
      'embed',
      { inputs: { a: { from: 'image', std: [1, 0, 1] } }, outputs: { b: { to: 'embedding' } } },
      'inputs.a.std',
      'must not be 0',
    ],
    [
      'CTC without a vocabulary',
      'transcribe',
      { inputs: { a: { from: 'audio' } }, outputs: { b: { to: 'text', decode: 'ctc' } } },
      'outputs.b.labels',
      'vocabulary',
    ],
    [
      'both a source and a constant',
      'embed',
      { inputs: { a: { ...text, value: 1 } }, outputs: { b: { to: 'embedding' } } },
      'inputs.a.from',
      'either',
    ],
    [
      'a word that it does not know',
      'embed',
      { inputs: { a: { ...text, typ: 1 } }, outputs: { b: { to: 'embedding' } } },
      'inputs.a',
      'Unrecognized',
    ],
  ])('not %s', (_, kind, map, path, message) => {
    const { error } = tensorMap(kind).safeParse(map);
    expect(error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n')).toContain(`${path}: `);
    expect(error?.issues.map((issue) => issue.message).join('\n')).toContain(message);
  });

  it('and everything that does not fit the model is named at once', () => {
    const map = tensorMap('classify').parse({
      inputs: { image: { from: 'image' }, extra: { value: 3, dtype: 'INT32' } },
      outputs: { scores: { to: 'scores' } },
    });
    const model = {
      inputs: [
        described('image', 'FP32', [-1, 7, 8, 9]),
        described('extra', 'INT64', [1]),
        described('mask', 'BOOL', [1]),
      ],
      outputs: [described('logits', 'FP32', [-1, 3])],
    };
    expect(() => bind(map, model)).toThrow(
      /layout of image is not clear .*; the input extra is INT64, not INT32; the model needs the input mask.*; the model has no output scores/,
    );
  });
});

describe('inputs', () => {
  const file = () =>
    sharp(Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]), { raw: { width: 2, height: 2, channels: 3 } })
      .png()
      .toBuffer();
  const tensorOf = async (entry: object, shape: number[], dtype: string) => {
    const map = tensorMap('classify').parse({
      inputs: { x: { from: 'image', ...entry } },
      outputs: { y: { to: 'scores' } },
    });
    const bound = bind(map, { inputs: [described('x', dtype, shape)], outputs: [] });
    const { tensors } = await encode(bound, { image: await file() }, { signal });
    return tensors[0] as Tensor;
  };

  it.each<[string, object, number[], string, number[], number[]]>([
    ['channels first', {}, [-1, 3, 2, 2], 'UINT8', [1, 3, 2, 2], [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]],
    ['channels last', {}, [2, 2, 3], 'UINT8', [2, 2, 3], [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]],
    ['blue first', { colors: 'bgr' }, [2, 2, 3], 'UINT8', [2, 2, 3], [0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255]],
    ['its own size', {}, [-1, 3, -1, -1], 'UINT8', [1, 3, 2, 2], [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]],
    ['shares of brightness', {}, [1, 3, 2, 2], 'FP32', [1, 3, 2, 2], [1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1]],
    [
      'a mean and a deviation of each channel',
      { mean: [0, 1, 0], std: [1, 1, 0.5] },
      [1, 3, 2, 2],
      'FP16',
      [1, 3, 2, 2],
      [1, 0, 0, 1, -1, 0, -1, 0, 0, 0, 2, 2],
    ],
    [
      'signed integers',
      { mean: 128 },
      [1, 3, 2, 2],
      'INT8',
      [1, 3, 2, 2],
      [127, -128, -128, 127, -128, 127, -128, 127, -128, -128, 127, 127],
    ],
    ['doubles', {}, [1, 3, 2, 2], 'FP64', [1, 3, 2, 2], [1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1]],
  ])('an image with %s', async (_, entry, shape, dtype, sent, values) => {
    const tensor = await tensorOf(entry, shape, dtype);
    expect([tensor.datatype, tensor.shape]).toEqual([dtype, sent]);
    expect([...numbersOf(tensor)]).toEqual(values);
  });

  it('an image as its file', async () => {
    const tensor = await tensorOf({}, [-1], 'BYTES');
    expect(tensor.raw.subarray(4)).toEqual(await file());
    const bytes = await tensorOf({ encoding: 'file' }, [1, -1], 'UINT8');
    expect(bytes.raw).toEqual(await file());
  });

  it('JSON in BYTES, constants, and what a stage does not give', async () => {
    const map = {
      inputs: {
        request: { from: 'input', encoding: 'json', dtype: 'BYTES', shape: [1, 1] },
        beams: { value: 4, dtype: 'INT32', shape: [1] },
        speaker: { from: 'voice', optional: true, dtype: 'BYTES', shape: [1] },
      },
      outputs: { pcm: { to: 'audio', sampleRate: 16_000 } },
    };
    const speak = run('synthesize', map, () => [], { input: { text: 'hi' } });
    await expect(speak).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    const bound = bind(tensorMap('synthesize').parse(map), { inputs: [], outputs: [] });
    const { tensors } = await encode(bound, { input: { text: 'hi' } }, { signal });
    expect(tensors.map(({ name }) => name)).toEqual(['request', 'beams']);
    expect(readTexts(tensors[0] as Tensor)).toEqual(['{"text":"hi"}']);
    expect([...numbersOf(tensors[1] as Tensor)]).toEqual([4]);
  });

  it('how a call asks to be spoken, in place of the stage', async () => {
    const one = { dtype: 'BYTES', shape: [1] };
    const map = {
      inputs: {
        text: { from: 'text', ...one },
        speaker: { from: 'voice', ...one },
        rate: { from: 'speed', dtype: 'FP32', shape: [1] },
        style: { from: 'instructions', optional: true, ...one },
        request: { from: 'input', encoding: 'json', ...one },
      },
      outputs: { pcm: { to: 'audio', sampleRate: 16_000 } },
    };
    let sent: ReadonlyMap<string, Tensor> = new Map();
    const model = (inputs: ReadonlyMap<string, Tensor>) => {
      sent = inputs;
      return [];
    };
    const call = { options: { voice: 'a' }, input: { text: 'hi', voice: 'b', speed: 1.5 } };
    await expect(run('synthesize', map, model, call)).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    expect([...sent.keys()].sort()).toEqual(['rate', 'request', 'speaker', 'text']);
    expect(readTexts(sent.get('speaker') as Tensor)).toEqual(['b']);
    expect([...numbersOf(sent.get('rate') as Tensor)]).toEqual([1.5]);
    expect(JSON.parse(readTexts(sent.get('request') as Tensor)[0] ?? '')).toEqual(call.input);
  });

  it('the speed of the voice, and empty instructions, where a call has none and the tensors are not optional', async () => {
    const one = { dtype: 'BYTES', shape: [1] };
    const map = {
      inputs: {
        text: { from: 'text', ...one },
        rate: { from: 'speed', dtype: 'FP32', shape: [1] },
        style: { from: 'instructions', ...one },
      },
      outputs: { pcm: { to: 'audio', sampleRate: 16_000 } },
    };
    let sent: ReadonlyMap<string, Tensor> = new Map();
    const model = (inputs: ReadonlyMap<string, Tensor>) => {
      sent = inputs;
      return [];
    };
    const speak = run('synthesize', map, model, { input: { text: 'hi' } });
    await expect(speak).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    expect([...numbersOf(sent.get('rate') as Tensor)]).toEqual([1]);
    expect(readTexts(sent.get('style') as Tensor)).toEqual(['']);
  });

  it('pairs of a query and each passage, in the shape of the model', async () => {
    const { sent, output } = await run(
      'rerank',
      {
        inputs: { q: { from: 'query', each: true }, p: { from: 'passages' } },
        outputs: { logit: { to: 'scores', activation: 'sigmoid' } },
      },
      () => [wire('logit', 'FP32', [2, 1], [0, 2])],
      {
        input: {
          query: 'x',
          passages: [
            { id: 'a', text: 'one' },
            { id: 'b', text: 'two' },
          ],
        },
        inputs: [described('q', 'BYTES', [-1, 1]), described('p', 'BYTES', [-1, 1])],
      },
    );
    expect(sent[0]?.get('q')?.shape).toEqual([2, 1]);
    expect(readTexts(sent[0]?.get('q') as Tensor)).toEqual(['x', 'x']);
    expect((output.passages as { id: string; score: number }[]).map(({ id, score }) => [id, score.toFixed(3)])).toEqual(
      [
        ['b', '0.881'],
        ['a', '0.500'],
      ],
    );
  });
});

describe('request parameters', () => {
  it('have the priority in the levels that the model has', () => {
    const levels = (count: number) =>
      (['interactive', 'default', 'batch'] as const).map((priority) => priorityOf(priority, count).priority);
    expect(levels(3)).toEqual([{ uint64_param: 1 }, { uint64_param: 2 }, { uint64_param: 3 }]);
    expect(levels(2)).toEqual([{ uint64_param: 1 }, { uint64_param: 2 }, { uint64_param: 2 }]);
    expect(levels(9)).toEqual([{ uint64_param: 1 }, { uint64_param: 5 }, { uint64_param: 9 }]);
    expect([levels(1), levels(0), [priorityOf(undefined, 3).priority]].flat()).toEqual(Array(7).fill(undefined));
  });

  it('start and end one sequence a call, and carry what is left of the attempt where the pool says so', () => {
    const requests = requestsOf(
      { sequential: true, priorityLevels: 0 },
      { endsAt: performance.now() + 60_000 },
      { timeout: 'attempt' },
    );
    const all = [requests.next(false), requests.next(false), requests.next(true)].map(({ parameters }) => parameters);
    expect(new Set(all.map((each) => JSON.stringify(each?.sequence_id))).size).toBe(1);
    expect(all.map((each) => [each?.sequence_start, each?.sequence_end])).toEqual([
      [{ bool_param: true }, { bool_param: false }],
      [{ bool_param: false }, { bool_param: false }],
      [{ bool_param: false }, { bool_param: true }],
    ]);
    const { int64_param: left } = (all[0]?.timeout ?? {}) as { int64_param: number };
    expect(left).toBeGreaterThan(30_000_000);
    expect(left).toBeLessThanOrEqual(60_000_000);
    expect(requestsOf({ sequential: false, priorityLevels: 0 }, {}, {}).next(true)).toEqual({});
  });
});
