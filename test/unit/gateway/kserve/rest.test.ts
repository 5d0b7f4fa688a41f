import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { Authenticator, keyRing } from '../../../../gateway/index.js';
import { inspectorOf } from '../../../../media/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { bytesTensor, fp32Tensor, toWire } from '../../../../protocols/open-inference/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { everyForm, speaks } from '../../../support/kserve-pipelines.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [everyForm, speaks] });
  // Every run gives back what it got.
  gateway.temporal.onStart = (run) => run.end({ output: run.options.args[0], stages: [] });
});
afterEach(() => gateway.close());

async function* bytes(file: Uint8Array): AsyncGenerator<Uint8Array> {
  yield file;
}
const wav = wavFile({ seconds: 0.1, sampleRate: 8_000 });
const get = (url: string) => gateway.app.inject({ method: 'GET', url });
const post = (payload: object | Buffer, headers: Record<string, string> = {}, url = '/v2/models/every-form/infer') =>
  gateway.app.inject({ method: 'POST', url, headers, payload });
const text = { name: 'text', datatype: 'BYTES', shape: [1], data: ['hello'] };
const count = { name: 'count', datatype: 'INT64', shape: [1], data: [3] };
const label = { name: 'label', datatype: 'BYTES', shape: [1], data: ['a'] };
const least = [text, count, label];
const inputOf = () => gateway.temporal.only().options.args[0];

interface Answered {
  readonly id?: string;
  readonly outputs: { name: string; datatype: string; shape: number[]; data: unknown[]; parameters?: JsonObject }[];
}
const outputs = (response: { json<T>(): T }) =>
  Object.fromEntries(response.json<Answered>().outputs.map((output) => [output.name, output]));

describe('what is there', () => {
  it('is told of the server and the models', async () => {
    expect((await get('/v2')).json()).toMatchObject({ name: 'millrace', extensions: expect.any(Array) });
    expect((await get('/v2/health/live')).json()).toEqual({ live: true });
    expect((await get('/v2/health/ready')).json()).toEqual({ ready: true });
    expect((await get('/v2/models/speaks')).json()).toEqual({
      name: 'speaks',
      versions: ['1'],
      platform: 'millrace_pipeline',
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [1] }],
      outputs: [
        { name: 'reply', datatype: 'BYTES', shape: [1] },
        { name: 'asked', datatype: 'BYTES', shape: [1] },
      ],
    });
    expect((await get(`/v2/models/speaks/versions/${speaks.plan.version}/ready`)).json()).toEqual({
      name: 'speaks',
      ready: true,
    });
    const { input } = (await get('/v2/models/every-form/config')).json<{ input: JsonObject[] }>();
    expect(input[1]).toEqual({ name: 'count', data_type: 'TYPE_INT64', dims: ['1'], optional: false });
    const index = await gateway.app.inject({ method: 'POST', url: '/v2/repository/index' });
    expect(index.json<JsonObject[]>().map(({ name, state }) => [name, state])).toEqual([
      ['every-form', 'READY'],
      ['speaks', 'READY'],
    ]);
  });

  it('is not ready when what it needs is away', async () => {
    await gateway.close();
    const check = () => Promise.reject(new Error('down'));
    gateway = await testGateway({}, { readiness: { temporal: { critical: true, check } }, pipelines: [speaks] });
    const response = await get('/v2/health/ready');
    expect([response.statusCode, response.json()]).toEqual([503, { ready: false }]);
    expect((await get('/v2/models/speaks/ready')).statusCode).toBe(503);
  });

  test.each([
    ['/v2/models/nobody', 404, 'no pipeline is named "nobody"'],
    ['/v2/models/speaks/versions/7', 404, `as version 1 (plan ${speaks.plan.version}), not "7"`],
    ['/v2/systemsharedmemory/status', 404, 'GET /v2/systemsharedmemory/status is not served'],
  ])('%s is refused in the protocol’s form', async (url, status, message) => {
    const response = await get(url);
    expect(response.statusCode).toBe(status);
    expect(response.json()).toEqual({ error: expect.stringContaining(message), code: expect.any(String) });
  });

  it('needs a key where keys are', async () => {
    await gateway.close();
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([]) }, { warn: () => {} } as never);
    gateway = await testGateway({}, { authenticator, pipelines: [speaks] });
    const response = await post({ inputs: [text] }, {}, '/v2/models/speaks/infer');
    expect(response.statusCode).toBe(401);
    expect(response.json()).toMatchObject({ code: 'UNAUTHENTICATED', error: expect.any(String) });
    expect((await get('/v2/health/live')).statusCode).toBe(200);
  });
});

describe('infer', () => {
  it('takes members that are null for absent', async () => {
    const parameters = { content_type: null, headers: null };
    const inputs = least.map((input) => ({ ...input, parameters }));
    const response = await post({ id: null, parameters: null, inputs, outputs: null });
    expect(response.statusCode).toBe(200);
    expect(inputOf()).toMatchObject({ text: 'hello', count: 3, label: 'a' });
    expect(response.json<Answered>()).not.toHaveProperty('id');
    const named = [{ name: 'count', parameters: null }];
    expect(Object.keys(outputs(await post({ inputs: least, outputs: named })))).toEqual(['count']);
  });

  it('gives back every form of a field', async () => {
    const file = { content_type: 'base64' };
    const response = await post({
      id: 'a-7',
      inputs: [
        ...least,
        { name: 'share', datatype: 'FP64', shape: [1, 1], data: [[0.25]] },
        { name: 'sure', datatype: 'BOOL', shape: [1], data: [true] },
        { name: 'sound', datatype: 'BYTES', shape: [1], data: [wav.toString('base64')], parameters: file },
        { name: 'words', datatype: 'BYTES', shape: [2], data: ['one', 'two'] },
        { name: 'numbers', datatype: 'FP64', shape: [0], data: [] },
        { name: 'gaps', datatype: 'BYTES', shape: [2], data: ['1.5', 'null'] },
        { name: 'either', datatype: 'BYTES', shape: [1], data: ['"text"'] },
        { name: 'matrix', datatype: 'FP32', shape: [1, 2], data: [[1, 2]] },
      ],
    });
    expect(response.statusCode).toBe(200);
    expect(inputOf()).toMatchObject({
      text: 'hello',
      count: 3,
      share: 0.25,
      sure: true,
      label: 'a',
      sound: { mime: 'audio/wav', bytes: wav.length, sampleRate: 8_000 },
      words: ['one', 'two'],
      numbers: [],
      gaps: [1.5, null],
      either: 'text',
      matrix: { dtype: 'FP32', shape: [1, 2], data: [1, 2] },
    });
    expect(response.json<Answered>().id).toBe('a-7');
    expect(response.json<JsonObject>().parameters).toEqual({
      run: expect.stringMatching(/^every-form-/),
      plan: everyForm.plan.version,
      triton_final_response: true,
    });
    const given = outputs(response);
    expect(given.sound).toEqual({
      ...{ name: 'sound', datatype: 'BYTES', shape: [1], parameters: file },
      data: [wav.toString('base64')],
    });
    expect(given.gaps?.data).toEqual(['1.5', 'null']);
    expect(given.matrix).toEqual({ name: 'matrix', datatype: 'FP32', shape: [1, 2], data: [1, 2] });
    expect(given.config).toEqual({ name: 'config', datatype: 'BYTES', shape: [0], data: [] });
  });

  it('leaves out what is optional, also as an empty tensor, and keeps defaults', async () => {
    const empty = { name: 'sure', datatype: 'BOOL', shape: [0], data: [] };
    await post({ inputs: [...least, empty] });
    expect(inputOf()).toEqual({ text: 'hello', count: 3, label: 'a', share: 0.5 });
  });

  it('takes and gives bytes behind the JSON', async () => {
    const samples = fp32Tensor('sound', [1, 800], new Float32Array(800).fill(0.25));
    const words = bytesTensor('words', [1], [Buffer.from('é')]);
    const json = JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [
        ...least,
        { name: 'sound', datatype: 'FP32', shape: [1, 800], parameters: { binary_data_size: samples.raw.length } },
        { name: 'words', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: words.raw.length } },
      ],
      outputs: [
        { name: 'sound', parameters: { sample_rate: 8_000 } },
        { name: 'words' },
        { name: 'count', parameters: { binary_data: false } },
      ],
    });
    const length = Buffer.byteLength(json);
    const response = await post(Buffer.concat([Buffer.from(json), samples.raw, words.raw]), {
      'inference-header-content-length': String(length),
    });
    expect(response.statusCode).toBe(200);
    expect(inputOf()).toMatchObject({ sound: { sampleRate: 8_000, durationMs: 100 }, words: ['é'] });
    const end = Number(response.headers['inference-header-content-length']);
    const head = JSON.parse(response.rawPayload.subarray(0, end).toString()) as Answered;
    expect(head.outputs).toEqual([
      { name: 'count', datatype: 'INT64', shape: [1], data: [3] },
      { name: 'sound', datatype: 'FP32', shape: [800], parameters: { sample_rate: 8_000, binary_data_size: 3_200 } },
      { name: 'words', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 6 } },
    ]);
    expect(response.rawPayload.subarray(end)).toEqual(
      Buffer.concat([fp32Tensor('sound', [800], new Float32Array(800).fill(0.25)).raw, words.raw]),
    );
  });

  it('asks only for the outputs that are named, which skips the stages of the others', async () => {
    await post({ inputs: [text], outputs: [{ name: 'asked' }] }, {}, '/v2/models/speaks/infer');
    expect(gateway.temporal.only().options.args[1]).toMatchObject({ outputs: ['asked'] });
  });

  it('refuses a body of too many values before it is parsed, and counts none in texts', async () => {
    await gateway.close();
    gateway = await testGateway({ maxJsonBytes: 4_000_000 }, { pipelines: [everyForm] });
    gateway.temporal.onStart = (run) => run.end({ output: run.options.args[0], stages: [] });
    const parsed = vi.spyOn(JSON, 'parse');
    const sent = (data: string) =>
      post(Buffer.from(JSON.stringify({ inputs: least }).replace('["hello"]', () => data)));
    const refused = await sent(`[${'{},'.repeat(200_000)}{}]`);
    const longest = Math.max(...parsed.mock.calls.map(([json]) => json.length));
    parsed.mockRestore();
    expect(longest).toBeLessThan(100_000);
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      { code: 'INVALID_INPUT', error: 'body: has more than 100000 values, nested ones included' },
    ]);
    const long = ',[{"\\\\",'.repeat(100_000);
    expect((await sent(JSON.stringify([long]))).statusCode).toBe(200);
    expect(inputOf()).toMatchObject({ text: long });
  });

  it('refuses JSON of too many values in a tensor before it is parsed', async () => {
    await gateway.close();
    gateway = await testGateway({ maxJsonBytes: 4_000_000 }, { pipelines: [everyForm] });
    gateway.temporal.onStart = (run) => run.end({ output: run.options.args[0], stages: [] });
    const sent = async (text: string) => {
      const config = bytesTensor('config', [1], [Buffer.from(text)]);
      const parameters = { binary_data_size: config.raw.length };
      const json = JSON.stringify({
        inputs: [...least, { name: 'config', datatype: 'BYTES', shape: [1], parameters }],
      });
      const headers = { 'inference-header-content-length': String(Buffer.byteLength(json)) };
      return await post(Buffer.concat([Buffer.from(json), config.raw]), headers);
    };
    const parsed = vi.spyOn(JSON, 'parse');
    const response = await sent(`{"deep":[${'{},'.repeat(200_000)}{}]}`);
    const longest = Math.max(...parsed.mock.calls.map(([json]) => json.length));
    parsed.mockRestore();
    expect(longest).toBeLessThan(100_000);
    expect([response.statusCode, response.json()]).toEqual([
      400,
      { code: 'INVALID_INPUT', error: 'config: has more than 100000 values, nested ones included' },
    ]);
    expect((await sent('{"deep":[]}')).statusCode).toBe(200);
  });

  it('quotes no more of a request than a message has room for', async () => {
    const { error } = (await post({ inputs: [{ ...text, name: 'n'.repeat(20_000) }] })).json<{ error: string }>();
    expect(error).toMatch(/^input tensor n{3000}/);
    expect(error.length).toBeLessThan(5_000);
  });

  it('refuses JSON in another encoding than UTF-8', async () => {
    const body = Buffer.from(JSON.stringify({ inputs: least }).replace('hello', 'h~llo'));
    body[body.indexOf('~')] = 0xe4;
    const refused = await post(body);
    expect([refused.statusCode, refused.json()]).toMatchObject([400, { code: 'INVALID_JSON' }]);
  });

  it('keeps every digit of a 64-bit integer that a number holds', async () => {
    await post(Buffer.from(JSON.stringify({ inputs: [text, label, count] }).replace('[3]', '[9007199254740991]')));
    expect(inputOf()).toMatchObject({ count: 9007199254740991 });
  });

  test.each<[string, object[], string]>([
    [
      'an unknown tensor',
      [...least, { ...text, name: 'nope' }],
      'input tensor nope: the pipeline every-form has no such',
    ],
    ['a missing one', [text, count], 'label'],
    ['one that is given twice', [...least, text], 'input tensor text: it is given twice'],
    ['a wrong datatype', [{ ...count, datatype: 'INT32' }], 'input tensor count: INT32 instead of INT64'],
    ['a datatype that is none', [{ ...count, datatype: 'INT' }], 'input tensor count: INT is not a datatype'],
    ['a wrong shape', [{ ...text, shape: [2], data: ['a', 'b'] }], 'input tensor text: shape [2] instead of [1]'],
    ['a shape that is none', [{ ...text, shape: [-1] }], 'input tensor text: [-1] is not a shape'],
    ['data that do not fill the shape', [{ ...text, data: [] }], 'input tensor text: 0 elements for shape [1]'],
    ['an element of another type', [{ ...count, data: ['x'] }], 'input tensor count: element 0, "x", is not INT64'],
    ['a value that the schema refuses', [...least.slice(1), { ...text, data: [''] }], 'text'],
    [
      'what is no JSON',
      [...least, { ...text, name: 'either', data: ['{'] }],
      'input tensor either: element 0 is not JSON',
    ],
    [
      'JSON with an integer that a number does not hold',
      [...least, { ...text, name: 'either', data: ['9007199254740993'] }],
      'either: is an integer of more digits than a number holds',
    ],
    ['a file that is no audio', [...least, { ...text, name: 'sound' }], 'sound: '],
    [
      'a size beyond the body',
      [{ ...text, parameters: { binary_data_size: 9 } }],
      'text: binary_data_size is 9; 0 bytes',
    ],
    ['shared memory', [{ ...text, parameters: { shared_memory_region: 'r' } }], 'text: shared memory is not supported'],
  ])('refuses %s and says which', async (_, inputs, message) => {
    const response = await post({ inputs });
    expect(response.statusCode).toBe(400);
    expect(response.json<{ error: string }>().error).toContain(message);
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test.each<[string, object, string]>([
    ['no inputs', {}, 'inputs: must be a list of tensors'],
    [
      'an unknown output',
      { inputs: least, outputs: [{ name: 'x' }] },
      'x: the pipeline has no such output (it has: text',
    ],
    ['a sequence', { inputs: least, parameters: { sequence_id: 4 } }, 'sequence_id: sequences are not supported'],
    [
      'a timeout that is none',
      { inputs: least, parameters: { timeout: -1 } },
      'timeout: must be a whole number of micro',
    ],
    [
      'an unknown priority',
      { inputs: least, parameters: { priority: 'soon' } },
      'priority: must be one of interactive',
    ],
    ['parameters that are none', { inputs: least, parameters: { a: {} } }, 'parameters: must be an object of strings'],
  ])('refuses %s', async (_, request, message) => {
    const response = await post(request);
    expect(response.statusCode).toBe(400);
    expect(response.json<{ error: string }>().error).toContain(message);
  });

  test.each<[string, Buffer, Record<string, string>, string]>([
    ['no JSON', Buffer.from('{'), {}, 'INVALID_JSON'],
    ['no body', Buffer.alloc(0), {}, 'EMPTY_BODY'],
    ['a length beyond the body', Buffer.from('{}'), { 'inference-header-content-length': '9' }, 'INVALID_HEADER'],
    ['a compressed body', Buffer.from('{}'), { 'content-encoding': 'gzip' }, 'UNSUPPORTED_CONTENT_TYPE'],
    ['a body that is too large', Buffer.alloc(300_001), {}, 'BODY_TOO_LARGE'],
  ])('refuses %s', async (_, body, headers, code) => {
    expect((await post(body, headers)).json()).toMatchObject({ code, error: expect.any(String) });
  });

  it('takes no more JSON outside of strings than any door does: files are in strings', async () => {
    const padded = (spaces: number) =>
      post(Buffer.from(JSON.stringify({ inputs: least }).replace('"inputs":', `"inputs":${' '.repeat(spaces)}`)));
    const refused = await padded(100_000);
    const error = expect.stringContaining('body: its JSON without texts is above the limit of 100000 bytes');
    expect([refused.statusCode, refused.json()]).toEqual([413, { code: 'BODY_TOO_LARGE', error }]);
    expect((await padded(99_000)).statusCode).toBe(200);
    const file = wavFile({ seconds: 8, sampleRate: 8_000 }).toString('base64');
    const parameters = { content_type: 'base64' };
    const sound = { name: 'sound', datatype: 'BYTES', shape: [1], data: [file], parameters };
    expect((await post({ inputs: [...least, sound] })).statusCode).toBe(200);
    expect(file.length).toBeGreaterThan(150_000);
  });

  it('takes samples only with a rate, and refuses those that are not mono', async () => {
    const { raw } = toWire('sound', { dtype: 'INT16', shape: [800], data: new Array(800).fill(9) });
    const sent = (shape: number[], parameters: JsonObject, url?: string) => {
      const sound = {
        name: 'sound',
        datatype: 'INT16',
        shape,
        parameters: { ...parameters, binary_data_size: raw.length },
      };
      const json = JSON.stringify({ inputs: [...least, sound] });
      const headers = { 'inference-header-content-length': String(Buffer.byteLength(json)) };
      return post(Buffer.concat([Buffer.from(json), raw]), headers, url);
    };
    expect((await sent([2, 400], { sample_rate: 8_000 })).json()).toMatchObject({
      error: expect.stringMatching(/sound: .*mono/),
    });
    expect((await sent([800], { sample_rate: 7 })).json()).toMatchObject({
      error: expect.stringMatching(/sound: sample_rate/),
    });
    expect((await sent([800], { sample_rate: 16_000 })).statusCode).toBe(200);
    expect(inputOf()).toMatchObject({ sound: { sampleRate: 16_000, durationMs: 50 } });
  });

  it('makes no more elements than an input may have values, and than their shape has', async () => {
    const refused = async (shape: number[], elements: number) => {
      const words = { name: 'words', datatype: 'BYTES', shape, parameters: { binary_data_size: elements * 4 } };
      const json = JSON.stringify({ inputs: [...least, words] });
      const headers = { 'inference-header-content-length': String(Buffer.byteLength(json)) };
      const response = await post(Buffer.concat([Buffer.from(json), Buffer.alloc(elements * 4)]), headers);
      return [response.statusCode, response.json<{ error: string }>().error];
    };
    expect(await refused([100_001], 20_000)).toEqual([400, expect.stringContaining('has more than 100000 elements')]);
    expect(await refused([1], 20_000)).toEqual([400, expect.stringContaining('more elements than shape [1] has')]);
    // What is no media is decoded at once: no more of it than of JSON.
    expect(await refused([1], 30_000)).toEqual([400, expect.stringContaining('words: tensors that are no media')]);
  });

  it('gives no media of another tenant, as a file or as samples', async () => {
    const stolen = await gateway.deps.artifacts.put('rival', bytes(wav), inspectorOf('audio'));
    gateway.temporal.onStart = (run) =>
      run.end({ output: { ...run.options.args[0], sound: { ...stolen } as unknown as JsonObject }, stages: [] });
    for (const parameters of [{}, { output_sample_rate: 8_000 }]) {
      const response = await post({ inputs: least, parameters });
      expect([response.statusCode, response.json()]).toEqual([
        404,
        expect.objectContaining({ code: 'ARTIFACT_NOT_FOUND' }),
      ]);
    }
  });

  it.each([-1_000_000_000, 0, 1])('reads no more of a file than the run says: %s bytes', async (said) => {
    const stored = await gateway.deps.artifacts.put('default', bytes(wav), inspectorOf('audio'));
    gateway.temporal.onStart = (run) =>
      run.end({
        output: { ...run.options.args[0], sound: { ...stored, bytes: said } as unknown as JsonObject },
        stages: [],
      });
    const response = await post({ inputs: least });
    expect(response.json()).toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it.each([1, 999, 200_000, 1e9, 8_000.5, '8000'])('refuses samples at a rate of %s before its run', async (rate) => {
    for (const wanted of [
      { parameters: { output_sample_rate: rate } },
      { outputs: [{ name: 'sound', parameters: { sample_rate: rate } }] },
    ]) {
      const response = await post({ inputs: least, ...wanted });
      expect([response.statusCode, response.json()]).toEqual([
        400,
        { error: expect.stringContaining('sample rate'), code: 'INVALID_INPUT' },
      ]);
    }
    expect(gateway.temporal.runs.size).toBe(0);
  });

  it('tells a failed run by its own status and code, and counts it', async () => {
    gateway.temporal.onStart = (run) => run.end(failure('BACKEND_UNAVAILABLE', 'nobody there', {}));
    const response = await post({ inputs: [text] }, {}, '/v2/models/speaks/infer');
    expect([response.statusCode, response.json()]).toEqual([
      503,
      { error: expect.stringContaining('nobody there'), code: 'BACKEND_UNAVAILABLE' },
    ]);
    gateway.temporal.onStart = (run) => run.end({ output: { reply: 'r', asked: 'a' }, stages: [] });
    await post({ inputs: [text] }, {}, '/v2/models/speaks/infer');
    const [row] = (await get('/v2/models/speaks/stats')).json<{ model_stats: JsonObject[] }>().model_stats;
    expect(row).toMatchObject({
      name: 'speaks',
      inference_count: 1,
      inference_stats: { success: { count: 1 }, fail: { count: 1 } },
    });
  });

  it('counts the requests of each tenant apart', async () => {
    gateway.temporal.onStart = (run) => run.end({ output: { reply: 'r', asked: 'a' }, stages: [] });
    await post({ inputs: [text] }, { 'millrace-tenant': 'acme' }, '/v2/models/speaks/infer');
    const countsOf = async (tenant: string, path: string) => {
      const headers = { 'millrace-tenant': tenant };
      const response = await gateway.app.inject({ method: 'GET', url: `/v2/models/${path}`, headers });
      const rows = response.json<{ model_stats: JsonObject[] }>().model_stats;
      return rows.map(({ name, inference_count: counted, last_inference: last }) => [name, counted, Number(last) > 0]);
    };
    expect(await countsOf('acme', 'speaks/stats')).toEqual([['speaks', 1, true]]);
    expect(await countsOf('other', 'speaks/stats')).toEqual([['speaks', 0, false]]);
    expect(await countsOf('other', 'stats')).toEqual([
      ['every-form', 0, false],
      ['speaks', 0, false],
    ]);
  });
});
