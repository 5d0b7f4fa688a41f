import { describe, expect, it } from 'vitest';
import type { RequestOptions } from '../../../../activities/connectors/tensors/index.js';
import type { TritonClient } from '../../../../activities/connectors/triton/client.js';
import { infer } from '../../../../activities/connectors/triton/infer.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type Dtype, tensor } from '../../../../pipelines/media.js';
import { infer as stage } from '../../../../pipelines/stages/index.js';
import { toWire } from '../../../../protocols/open-inference/any-tensor.js';
import type { Element } from '../../../../protocols/open-inference/elements.js';
import type { Tensor } from '../../../../protocols/open-inference/tensors.js';

const value = (dtype: Dtype, shape: number[], data: Element[]) => ({ dtype, shape, data });
const use = stage({
  model: 'm',
  inputs: { X: tensor({ dtype: 'FP32', shape: [1, -1] }), FLAG: tensor({ dtype: 'BOOL', shape: [] }) },
  outputs: { Y: tensor({ dtype: 'INT32', shape: [2, -1] }) },
  parameters: { threshold: 0.5, limit: 3, mode: 'fast', strict: true },
});
const INPUT = { X: value('FP32', [1, 2], [1, 2]), FLAG: value('BOOL', [], [true]) };

/** Runs the stage against a model whose responses are given. */
async function run(
  responses: readonly (readonly Tensor[])[],
  { input = INPUT, options = use.with }: { input?: JsonObject; options?: JsonObject } = {},
) {
  const requests: { inputs: readonly Tensor[]; options: RequestOptions }[] = [];
  const emitted: unknown[] = [];
  const client = {
    async *responses(_: string, inputs: readonly Tensor[], __: AbortSignal, inferOptions: RequestOptions) {
      requests.push({ inputs, options: inferOptions });
      for (const outputs of responses) yield new Map(outputs.map((output) => [output.name, output]));
    },
  } as unknown as TritonClient;
  const reply = await infer.invoke({ kind: 'infer', model: 'm', with: options, input }, {
    client,
    signal: new AbortController().signal,
    emit: (chunk: unknown) => void emitted.push(chunk),
    checkpoint: () => undefined,
  } as never);
  return { ...reply, requests, emitted };
}

const y = (shape: number[], ...data: number[]) => [toWire('Y', value('INT32', shape, data))];

describe('infer', () => {
  it('sends the inputs, asks for the outputs, and types the parameters', async () => {
    const { output, requests } = await run([y([2, 1], 5, 6)]);
    expect(output).toEqual({ Y: value('INT32', [2, 1], [5, 6]) });
    const [{ inputs, options } = { inputs: [], options: {} }] = requests;
    expect(inputs.map(({ name, datatype, shape }) => [name, datatype, shape])).toEqual([
      ['X', 'FP32', [1, 2]],
      ['FLAG', 'BOOL', []],
    ]);
    expect(options).toEqual({
      outputs: ['Y'],
      parameters: {
        threshold: { double_param: 0.5 },
        limit: { int64_param: 3 },
        mode: { string_param: 'fast' },
        strict: { bool_param: true },
      },
    });
  });

  it.each<[string, JsonObject, RegExp]>([
    ['a missing tensor', { X: INPUT.X }, /^input tensor FLAG: it is missing$/],
    [
      'a tensor too many',
      { ...INPUT, Z: INPUT.X },
      /^input tensor Z: the stage has no such input \(it has: X, FLAG\)$/,
    ],
    ['another type', { ...INPUT, X: value('FP64', [1, 1], [1]) }, /^input tensor X: FP64 instead of FP32$/],
    ['another rank', { ...INPUT, X: value('FP32', [1], [1]) }, /^input tensor X: shape \[1\] instead of \[1,-1\]$/],
    ['another size', { ...INPUT, X: value('FP32', [2, 1], [1, 2]) }, /^input tensor X: shape \[2,1\]/],
    ['an element that does not fit', { ...INPUT, FLAG: value('BOOL', [], [1]) }, /^input tensor FLAG: element 0, 1,/],
  ])('refuses %s before any call', async (_, input, message) => {
    await expect(run([], { input })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(message),
    });
  });

  it.each<[string, Tensor[][], RegExp]>([
    ['no output of the name', [[toWire('Z', value('INT32', [1], [1]))]], /no output Y \(its outputs: none\)/],
    ['no response', [], /no output Y/],
    ['another type', [[toWire('Y', value('INT64', [2, 1], [1, 2]))]], /^output tensor Y: INT64 instead of INT32$/],
    ['another rank', [y([2], 1, 2)], /^output tensor Y: shape \[2\] instead of \[2,-1\]$/],
    ['another size', [y([1, 2], 1, 2)], /^output tensor Y: shape \[1,2\]/],
    ['more than passes by value', [y([2, 50_001], ...new Array(100_002).fill(0))], /Y: more than 100000 elements/],
    ['more than that in parts', new Array(3).fill(y([2, 20_000], ...new Array(40_000).fill(0))), /more than 100000/],
  ])('refuses an answer with %s', async (_, responses, message) => {
    await expect(run(responses)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringMatching(message),
    });
  });

  it('leaves out what was not asked for', async () => {
    const { output } = await run([[...y([2, 1], 1, 2), toWire('EXTRA', value('BYTES', [1], ['x']))]]);
    expect(Object.keys(output)).toEqual(['Y']);
  });
});

describe('many responses to one request', () => {
  it('are joined along the dimension that the format leaves open, and emitted one by one', async () => {
    const { output, emitted } = await run([y([2, 1], 1, 10), y([2, 2], 2, 3, 20, 30), y([2, 0])]);
    expect(output.Y).toEqual(value('INT32', [2, 3], [1, 2, 3, 10, 20, 30]));
    expect(emitted).toEqual([2, 4, 0]);
  });

  const formatted = (shape: number[] | null) => ({
    options: { inputs: {}, outputs: { Y: shape && { dtype: 'INT32', shape } } },
    input: {},
  });

  it('are joined along the first of several open ones, and along the first of all without a format', async () => {
    const parts = [y([1, 2], 1, 2), y([2, 2], 3, 4, 5, 6)];
    const joined = value('INT32', [3, 2], [1, 2, 3, 4, 5, 6]);
    expect((await run(parts, formatted([-1, -1]))).output.Y).toEqual(joined);
    expect((await run(parts, formatted(null))).output.Y).toEqual(joined);
  });

  it('may each give some of the outputs', async () => {
    const options = { inputs: {}, outputs: { Y: { dtype: 'INT32', shape: [-1] }, END: null } };
    const end = [toWire('END', value('BYTES', [1], ['stop']))];
    const { output } = await run([y([1], 1), y([1], 2), end], { options, input: {} });
    expect(output).toEqual({ Y: value('INT32', [2], [1, 2]), END: value('BYTES', [1], ['stop']) });
  });

  it.each<[string, Tensor[][], number[] | null, RegExp]>([
    [
      'no dimension is open',
      [y([1], 1), y([1], 2)],
      [1],
      /Y: 2 responses of shape \[1\], which cannot be joined along any dimension/,
    ],
    ['they have no dimension', [y([], 1), y([], 2)], null, /2 responses of shape \[\]/],
    [
      'another dimension differs',
      [y([1, 1], 1), y([1, 2], 1, 2)],
      [-1, -1],
      /\[1,2\] after INT32 \[1,1\]: only dimension 0/,
    ],
    ['the rank differs', [y([1], 1), y([1, 1], 1)], null, /INT32 \[1,1\] after INT32 \[1\]/],
    ['the type differs', [y([1], 1), [toWire('Y', value('INT8', [1], [1]))]], null, /INT8 \[1\] after INT32 \[1\]/],
  ])('are refused when %s', async (_, responses, shape, message) => {
    await expect(run(responses, formatted(shape))).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringMatching(message),
    });
  });
});
