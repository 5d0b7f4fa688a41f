import { describe, expect, it } from 'vitest';
import { noAudio } from '../../../../activities/connectors/contract/index.js';
import { activated } from '../../../../activities/connectors/tensors/activation.js';
import { ctcText } from '../../../../activities/connectors/tensors/ctc.js';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import { fromNpy, toNpy } from '../../../../activities/connectors/tensors/npy.js';
import { joinedBytes } from '../../../../activities/connectors/tensors/tensor-files.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { Dtype } from '../../../../pipelines/media.js';
import type { Element } from '../../../../protocols/open-inference/elements.js';
import type { Tensor } from '../../../../protocols/open-inference/tensors.js';
import { run, signal, wire } from './tensor-run.js';

describe('outputs', () => {
  const text = { inputs: { t: { from: 'text', dtype: 'BYTES', shape: [1] } } };

  it.each<[string, number[]]>([
    ['mean', [2, 3]],
    ['first', [1, 2]],
    ['last', [3, 4]],
  ])('the %s of the tokens’ vectors', async (pooling, [a = 0, b = 0]) => {
    const map = { ...text, outputs: { h: { to: 'embedding', pooling } } };
    const { output } = await run('embed', map, () => [wire('h', 'BF16', [1, 2, 2], [1, 2, 3, 4])], {
      input: { text: 'x' },
    });
    const [x = 0, y = 0] = output.embedding as number[];
    expect(x / y).toBeCloseTo(a / b, 6);
  });

  it('vectors of tokens without pooling are refused', async () => {
    const map = { ...text, outputs: { h: { to: 'embedding' } } };
    const embedding = run('embed', map, () => [wire('h', 'FP32', [1, 2, 2], [1, 2, 3, 4])], { input: { text: 'x' } });
    await expect(embedding).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('give pooling'),
    });
  });

  it('a text that goes on without end is no answer', async () => {
    const map = {
      inputs: { p: { from: 'prompt', dtype: 'BYTES', shape: [1] } },
      outputs: { t: { to: 'text', responses: 'delta' } },
    };
    const says = (parts: number) =>
      run('chat', map, () => Array(parts).fill([wire('t', 'BYTES', [1], ['x'.repeat(2 ** 20)])]), {
        input: { prompt: 'Go on.', history: [] },
      });
    expect((await says(4)).emitted).toHaveLength(4);
    await expect(says(5)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('characters of text'),
    });
  });

  it('speech that goes on without end is no answer', async () => {
    const map = { inputs: text.inputs, outputs: { pcm: { to: 'audio', sampleRate: 8_000 } } };
    const minutes = (count: number): Tensor => {
      const samples = count * 60 * 8_000;
      return { name: 'pcm', datatype: 'INT16', shape: [samples], raw: Buffer.alloc(2 * samples) };
    };
    const part = minutes(5);
    const speaks = (parts: number) =>
      run('synthesize', map, () => Array(parts).fill([part]), { input: { text: 'Hi.' } });
    await expect(speaks(5)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: 'output tensor pcm: more than 1200 s of speech for a passage',
    });
  });

  it('segments that go on without end are no answer', async () => {
    const map = {
      inputs: { p: { value: 1, dtype: 'INT32', shape: [1] } },
      outputs: { t: { to: 'text' }, s: { to: 'segments', encoding: 'json' } },
    };
    const segments = JSON.stringify(Array(25_000).fill({ start: 0, end: 0, text: '' }));
    const part = [wire('t', 'BYTES', [1], ['']), wire('s', 'BYTES', [1], [segments])];
    const hears = (parts: number) =>
      run('transcribe', map, () => Array(parts).fill(part), { options: { segments: 'segments' } });
    expect((await hears(4)).output.segments).toHaveLength(100_000);
    await expect(hears(5)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: 'output tensor s: more than 100000 segments',
    });
  });

  it('a text of which each response has all so far, and may change the end', async () => {
    const map = {
      inputs: { p: { from: 'prompt', dtype: 'BYTES', shape: [1] } },
      outputs: { t: { to: 'text', responses: 'whole' } },
    };
    const says = (...texts: string[]) =>
      run('chat', map, () => texts.map((each) => [wire('t', 'BYTES', [1], [each])]), {
        input: { prompt: 'Hi', history: [] },
      });
    const held = await says('Hello \ufffd', 'Hello 👋', 'Hello 👋 there');
    expect([held.output.text, held.emitted]).toEqual(['Hello 👋 there', ['Hello ', '👋', ' there']]);
    const changed = await says('Hallo', 'Hello', 'Hello there');
    expect([changed.output.text, changed.emitted]).toEqual(['Hello there', ['Hallo']]);
  });

  it('JSON in BYTES, at a pointer', async () => {
    const map = { ...text, outputs: { r: { to: 'scores', encoding: 'json', pointer: '/results/0/scores' } } };
    const answer = JSON.stringify({ results: [{ scores: [0.1, 0.9] }] });
    const classify = (body: string) =>
      run('classify', map, () => [wire('r', 'BYTES', [1], [body])], {
        input: { text: 'x' },
        options: { labels: ['no', 'yes'] },
      });
    expect((await classify(answer)).output).toMatchObject({ label: 'yes', score: 0.9 });
    for (const [body, problem] of [
      ['{"results":[]}', 'nothing at /results/0/scores'],
      ['{', 'not JSON'],
      ['{"results":[{"scores":["a"]}]}', 'not a list of numbers'],
      ['['.repeat(5_000) + ']'.repeat(5_000), 'nested more than 64 deep'],
    ]) {
      await expect(classify(body ?? '')).rejects.toMatchObject({
        code: 'INVALID_OUTPUT',
        message: expect.stringContaining(problem ?? ''),
      });
    }
  });

  it('a whole output as JSON', async () => {
    const map = { ...text, outputs: { r: { to: 'output', encoding: 'json' } } };
    const whole = { label: 'a', score: 1, scores: { a: 1, b: 0 } };
    const { output } = await run('classify', map, () => [wire('r', 'BYTES', [1], [JSON.stringify(whole)])], {
      input: { text: 'x' },
    });
    expect(output).toEqual(whole);
  });

  it('a label by its index or its name', async () => {
    const labels = ['a', 'b'];
    const map = { ...text, outputs: { l: { to: 'label', labels: ['b', 'a'] } } };
    const given = { input: { text: 'x' }, options: { labels } };
    expect((await run('classify', map, () => [wire('l', 'INT64', [1], [0])], given)).output).toEqual({
      label: 'b',
      score: 1,
      scores: { a: 0, b: 1 },
    });
    expect((await run('classify', map, () => [wire('l', 'BYTES', [1], ['a'])], given)).output.label).toBe('a');
    await expect(run('classify', map, () => [wire('l', 'INT64', [1], [7])], given)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
    });
  });

  it('CTC: repeats are joined, blanks dropped, also where a class is impossible', () => {
    const labels = ['-', '|', 'a', 'b'];
    const path = [0, 2, 2, 0, 2, 1, 1, 3, 0];
    const frames = path.flatMap((best) => labels.map((_, i) => (i === best ? 5 : i === 3 ? -9 : 0)));
    const tensor = wire('logits', 'FP32', [1, path.length, labels.length], frames);
    expect(ctcText(tensor, { to: 'text', name: 'logits', labels })).toBe('aa b');
    expect(() => ctcText(tensor, { to: 'text', name: 'logits', labels: ['a'] })).toThrow(
      '4 logits a frame for a vocabulary of 1',
    );
  });

  it('softmax of any logits sums to 1 in each row', () => {
    const scores = activated(Float64Array.of(1_000, 1_001, Number.NEGATIVE_INFINITY, 0), 'softmax', 2);
    expect([...scores].map((score) => score.toFixed(3))).toEqual(['0.269', '0.731', '0.000', '1.000']);
  });

  it.each<[string, string[], string[]]>([
    ['delta', ['he', 'llo', ' you'], ['he', 'llo', ' you']],
    ['whole', ['he', 'hello', 'hello you'], ['he', 'llo', ' you']],
  ])('texts of a decoupled recogniser, each %s', async (responses, answers, chunks) => {
    const map = {
      inputs: { pcm: { from: 'audio', encoding: 'file', dtype: 'BYTES', shape: [1] } },
      outputs: { t: { to: 'text', responses } },
    };
    const client: TensorClient = {
      async *responses() {
        for (const answer of answers) yield new Map([['t', wire('t', 'BYTES', [1], [answer])]]);
      },
      tensors: async () => ({ inputs: [], outputs: [] }),
    };
    const emitted: unknown[] = [];
    const { output } = await new TensorModels(client, tensorMap('transcribe').parse(map)).invoke(
      { kind: 'transcribe', model: 'm', with: {}, input: { audio: {} } },
      {
        signal,
        audio: noAudio,
        bytes: async () => Buffer.from('RIFF'),
        emit: (chunk) => void emitted.push(chunk),
        checkpoint: () => undefined,
      },
      plainRequests(),
    );
    expect(output).toEqual({ text: 'hello you' });
    expect(emitted.join('')).toBe('hello you');
    expect(emitted).toEqual(chunks);
  });
});

describe('detections', () => {
  const seen = (outputs: JsonObject) => ({ inputs: { t: { value: 1, dtype: 'INT32', shape: [1] } }, outputs });
  const detect = async (outputs: JsonObject, tensors: Tensor[], options: JsonObject = {}) =>
    (await run('detect', seen(outputs), () => tensors, { options })).output.detections as Record<string, unknown>[];

  it('of raw predictions, either way round, with lesser boxes of one label dropped', async () => {
    const rows = [
      [10, 10, 4, 4, 0.9, 0.1],
      [10.5, 10, 4, 4, 0.8, 0.1],
      [10, 10, 4, 4, 0.2, 0.7],
      [30, 30, 4, 4, 0.05, 0.1],
    ];
    const outputs = { p: { to: 'predictions', labels: ['cat', 'dog'], nms: 0.5, threshold: 0.5 } };
    const found = [
      { label: 'cat', score: 0.9, box: { x: 8, y: 8, width: 4, height: 4 } },
      { label: 'dog', score: 0.7, box: { x: 8, y: 8, width: 4, height: 4 } },
    ];
    const columns = (rows[0] ?? []).flatMap((_, c) => rows.map((row) => row[c] ?? 0));
    expect(await detect(outputs, [wire('p', 'FP64', [1, 6, 4], columns)])).toEqual(found);
    expect(await detect(outputs, [wire('p', 'FP64', [1, 4, 6], rows.flat())])).toEqual(found);
    await expect(detect(outputs, [wire('p', 'FP64', [1, 4, 4], Array(16).fill(0))])).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
    });
  });

  it('whose classes are not as many as the labels are refused', async () => {
    const outputs = { p: { to: 'predictions', labels: ['cat', 'dog'] } };
    // With an objectness before the classes, each would have the name of its neighbour.
    for (const shape of [
      [1, 9, 7],
      [1, 7, 9],
      [1, 5, 9],
    ]) {
      const values = Array(shape.reduce((product, size) => product * size)).fill(0);
      await expect(detect(outputs, [wire('p', 'FP64', shape, values)]), `[${shape}]`).rejects.toMatchObject({
        code: 'INVALID_OUTPUT',
        message: expect.stringContaining('output tensor p: shape'),
      });
    }
    const scored = { w: { to: 'spans' }, s: { to: 'scores', labels: ['ann', 'bob', 'cid'] } };
    const two = [wire('w', 'FP64', [1, 2], [0, 1]), wire('s', 'FP32', [1, 2], [0.9, 0.1])];
    await expect(detect(scored, two)).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('of text keep its order, with the box around four corners', async () => {
    const outputs = { b: { to: 'boxes', unit: 'source' }, s: { to: 'scores' }, t: { to: 'texts' } };
    const found = await detect(outputs, [
      wire('b', 'FP32', [2, 4, 2], [1, 2, 9, 1, 9, 4, 1, 5, 0, 6, 8, 6, 8, 9, 0, 9]),
      wire('s', 'FP64', [2], [0.7, 0.9]),
      wire('t', 'BYTES', [2], ['Total', '9.50']),
    ]);
    expect(found).toEqual([
      { label: 'text', score: 0.7, text: 'Total', box: { x: 1, y: 1, width: 8, height: 4 } },
      { label: 'text', score: 0.9, text: '9.50', box: { x: 0, y: 6, width: 8, height: 3 } },
    ]);
  });

  it('of sounds have spans, with the best of several classes', async () => {
    const outputs = { w: { to: 'spans' }, s: { to: 'scores', activation: 'softmax', labels: ['ann', 'bob'] } };
    const found = await detect(outputs, [wire('w', 'FP64', [1, 2], [0.5, 2.25]), wire('s', 'FP32', [1, 2], [0, 0])]);
    expect(found).toEqual([{ label: 'ann', score: 0.5, span: { startMs: 500, endMs: 2_250 } }]);
    expect(await detect(outputs, [wire('w', 'FP64', [0, 2], []), wire('s', 'FP32', [0, 2], [])])).toEqual([]);
  });
});

describe('tensors in files', () => {
  it.each<[Dtype, number[], Element[]]>([
    ['FP32', [2, 3], [1, 2, 3, 4, 5, 6.5]],
    ['FP16', [2], [0.5, -2]],
    ['INT64', [1, 1], ['9007199254740993']],
    ['BOOL', [], [true]],
    ['UINT8', [3], [0, 1, 255]],
  ])('%s %j comes back from .npy as it was', (dtype, shape, data) => {
    const sent = wire('t', dtype, shape, data);
    const file = toNpy(sent);
    expect((file.length - sent.raw.length) % 64).toBe(0);
    expect(fromNpy('t', file)).toEqual(sent);
  });

  it.each<[string, (file: Buffer) => Buffer, string]>([
    ['a cut header', (file) => file.subarray(0, 20), 'no valid header'],
    [
      'Fortran order',
      (file) => Buffer.from(file.toString('latin1').replace('False', ' True'), 'latin1'),
      'Fortran order',
    ],
    ['objects', (file) => Buffer.from(file.toString('latin1').replace("'<f4'", "'|O8'"), 'latin1'), '|O8'],
    [
      'code for a shape',
      (file) => Buffer.from(file.toString('latin1').replace('(2, 3)', '(2**9)'), 'latin1'),
      'no array',
    ],
  ])('refuses %s', (_, spoil, message) => {
    const file = spoil(toNpy(wire('t', 'FP32', [2, 3], [1, 2, 3, 4, 5, 6])));
    expect(() => fromNpy('t', file)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(message) }),
    );
  });

  it('responses are joined as bytes, along any dimension', () => {
    const a = wire('t', 'INT16', [2, 1], [1, 2]);
    const b = wire('t', 'INT16', [2, 2], [3, 4, 5, 6]);
    expect(joinedBytes([a, b], 1)).toEqual(wire('t', 'INT16', [2, 3], [1, 3, 4, 2, 5, 6]));
    expect(() => joinedBytes([a, b], 0)).toThrow('cannot be joined');
  });
});
