import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { poolNameOf, type TargetOptions, targetOf } from '../../../cli/optimize-target.js';
import { optimizeTriton, refuseSearchOptions } from '../../../cli/optimize-triton.js';
import { testSettings } from '../../support/settings.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-optimize-'));
const [onnx, quantised, tokenizer, data, speech] = [
  'own.onnx',
  'int8.onnx',
  'tokenizer.json',
  'data.jsonl',
  'speech.jsonl',
].map((name) => path.join(folder, name)) as [string, string, string, string, string];
writeFileSync(onnx, 'MatMul');
writeFileSync(quantised, 'DynamicQuantizeLinear');
writeFileSync(tokenizer, '{}');
writeFileSync(data, '{"input":"a"}\n');
writeFileSync(speech, '{"input":"no.wav","expected":"a"}\n');

// Nothing of Python is started by what is tested here.
const tools = {
  recipe: 'deploy/local',
  python: '/nowhere/python',
  converter: () => Promise.reject(new Error('not needed')),
  originals: () => Promise.reject(new Error('not needed')),
  llm: { command: '/nowhere/python', args: [] },
};
const target = (argument: string, options: TargetOptions = {}, more: Readonly<Record<string, string>> = {}) =>
  targetOf(testSettings(more), argument, options, { tools, packages: '/packages', work: folder });

describe('what millrace optimize is asked for', () => {
  it('is an embedded model by the name of its pool, with its own evaluation set', async () => {
    const { subject, plan, pool, triton } = await target('minilm');
    expect(subject).toMatchObject({ model: 'minilm', family: 'embed', weights: { op: 'bert' } });
    expect(subject.examples.length).toBeGreaterThan(30);
    expect(pool).toMatchObject({ connector: 'triton', model: 'minilm', kind: 'embed' });
    expect(triton).toBe('minilm');
    expect(typeof plan === 'object' && plan.variants.map(({ name }) => name)).toContain('int8-static');
  });

  it('is an encoder of the author’s own, which is quantised only if it is not', async () => {
    const own = await target(onnx, { data, tokenizer, as: 'search' });
    expect(own).toMatchObject({ subject: { model: 'search', weights: onnx, tokenizer }, packaged: false });
    const names = ({ plan }: typeof own) => (typeof plan === 'object' ? plan.variants.map(({ name }) => name) : []);
    expect(names(own)).toContain('int8-dynamic');
    expect(names(await target(quantised, { data, tokenizer }))).not.toContain('int8-dynamic');
  });

  it.each<[string, string, TargetOptions, string, string]>([
    ['an unknown name', 'nothing', {}, 'MODEL_NOT_CONFIGURED', 'no pool "nothing"'],
    ['a file that is not there', './no.onnx', {}, 'INVALID_INPUT', 'does not exist'],
    ['a file of another form', 'package.json', { data }, 'INVALID_INPUT', 'is not an encoder'],
    ['a pool whose weights are elsewhere', 'tts', {}, 'INVALID_INPUT', 'at their server'],
    ['weights without an evaluation set', onnx, { tokenizer }, 'INVALID_INPUT', '--data'],
    ['an evaluation set that is not there', onnx, { data: 'no.jsonl', tokenizer }, 'INVALID_INPUT', 'cannot be read'],
    ['recordings that are not there', 'whisper', { data: speech }, 'INVALID_INPUT', 'no.wav does not exist'],
    ['an encoder without a tokenizer', onnx, { data }, 'INVALID_INPUT', '--tokenizer'],
    ['a name of which no path can be made', onnx, { data, tokenizer, as: '../a' }, 'INVALID_INPUT', '--as'],
  ])('is refused: %s', async (_, argument, options, code, message) => {
    const failure = await target(argument, options).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('is not a pool of the author’s models file, whose weights are at its server', async () => {
    const file = path.join(folder, 'models.json');
    const pool = { connector: 'triton', model: 'm', kind: 'embed', endpoints: [{ url: 'h:8001', device: 'gpu0' }] };
    writeFileSync(file, JSON.stringify({ minilm: pool }));
    await expect(target('minilm', {}, { MILLRACE_MODELS: file })).rejects.toThrow('at their server');
  });
});

describe('the search of a Triton’s settings', () => {
  const search = (name: string, options: Partial<Parameters<typeof optimizeTriton>[2]> = {}, more = {}) =>
    optimizeTriton(testSettings(more), name, { out: path.join(folder, 'search'), timeLimit: 1_000, ...options });

  it('has options of its own, and none of the variants’', async () => {
    expect(() => refuseSearchOptions({ trials: 3 })).toThrow('--trials: is for the search');
    expect(() => refuseSearchOptions({ tritonRepository: 'models' })).toThrow('--triton-repository');
    expect(refuseSearchOptions({})).toBeUndefined();
    await expect(search('minilm', { only: ['fp32'] })).rejects.toThrow('--only: is for variants');
    await expect(search('minilm', { requantise: true })).rejects.toThrow('--requantise');
  });

  it.each([
    ['an unknown pool', 'nothing', {}, 'MODEL_NOT_CONFIGURED', 'no pool "nothing"'],
    ['a pool of another server', 'assistant', {}, 'INVALID_INPUT', 'its connector is openai'],
    ['a kind whose calls only a stage describes', 'ocr', {}, 'INVALID_INPUT', 'has no calls to measure by'],
    [
      'a Triton of the author’s own without its folder',
      'minilm',
      { TRITON_URL: 'h:1' },
      'INVALID_INPUT',
      'pass the folder',
    ],
  ])('is refused for %s', async (_, name, more, code, message) => {
    await expect(search(name, {}, more)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

it('names the pool of weights by their file, unless it is told another name', () => {
  expect(poolNameOf('/x/e5.small.onnx', {})).toBe('e5.small');
  expect(poolNameOf('models/', {})).toBe('models');
  expect(poolNameOf('minilm', {})).toBe('minilm');
  expect(poolNameOf('x.gguf', { as: 'assistant' })).toBe('assistant');
  expect(() => poolNameOf('a b.onnx', {})).toThrow('--as');
});
