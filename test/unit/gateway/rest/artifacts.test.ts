import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { MillraceError } from '../../../../pipelines/errors.js';
import { audio, code, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { Json } from '../../../../pipelines/json.js';
import type { RunResult } from '../../../../pipelines/run/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const nothing = z.object({ text: z.string() });
const echo = code('echo', { input: nothing, output: nothing }, (input) => input);

let gateway: TestGateway;
let run: RunDocument;
const wav = wavFile({ seconds: 3 });
beforeEach(async () => {
  gateway = await testGateway();
  gateway.temporal.onStart = (started) => {
    const speech = started.options.args[0].speech as Json;
    started.end({ output: { heard: speech, parts: [speech], text: 'x' }, stages: [] });
  };
  const response = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/listen/runs',
    headers: { 'content-type': 'audio/wav', prefer: 'wait=1' },
    payload: wav,
  });
  run = response.json();
});
afterEach(() => gateway.close());

const get = (name: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
  gateway.app.inject({ method, url: `/v1/runs/${run.id}/artifacts/${name}`, headers });

test('media of a run is served, whole', async () => {
  const { sha256 } = (run as unknown as { output: { heard: { sha256: string } } }).output.heard;
  expect(run.output).toMatchObject({
    heard: { mime: 'audio/wav', href: `/v1/runs/${run.id}/artifacts/heard` },
    parts: [{ href: `/v1/runs/${run.id}/artifacts/parts.0` }],
  });
  for (const name of ['heard', 'parts.0', 'input.speech']) {
    const response = await get(name);
    expect(response.statusCode).toBe(200);
    expect(response.rawPayload.equals(wav)).toBe(true);
    expect(response.headers).toMatchObject({
      'content-type': 'audio/wav',
      'content-length': String(wav.length),
      'accept-ranges': 'bytes',
      'content-disposition': `inline; filename="${name}.wav"`,
      etag: `"${sha256}"`,
    });
  }
});

test('of another tenant is not served, even when a run holds its address', async () => {
  const { speech } = (run as unknown as { input: { speech: { sha256: string; uri: string } } }).input;
  gateway.temporal.onStart = (started) => started.end({ output: { heard: speech as unknown as Json }, stages: [] });
  const other = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/listen/runs',
    headers: { 'content-type': 'audio/wav', prefer: 'wait=1', 'millrace-tenant': 'acme' },
    payload: wavFile({ seconds: 1 }),
  });
  const { id } = other.json() as RunDocument;
  const stolen = await gateway.app.inject({
    method: 'GET',
    url: `/v1/runs/${id}/artifacts/heard`,
    headers: { 'millrace-tenant': 'acme' },
  });
  expect(stolen.json()).toMatchObject({ status: 404, code: 'ARTIFACT_NOT_FOUND' });
});

test('in ranges', async () => {
  const response = await get('heard', { range: 'bytes=44-1043' });
  expect(response.statusCode).toBe(206);
  expect(response.headers['content-range']).toBe(`bytes 44-1043/${wav.length}`);
  expect(response.headers['content-length']).toBe('1000');
  expect(response.rawPayload.equals(wav.subarray(44, 1044))).toBe(true);
  const tail = await get('heard', { range: 'bytes=-10' });
  expect(tail.rawPayload.equals(wav.subarray(-10))).toBe(true);
  const whole = await get('heard', { range: 'bytes=0-1,4-5' });
  expect(whole.statusCode).toBe(200);
});

test('416 behind its end', async () => {
  const response = await get('heard', { range: `bytes=${wav.length}-` });
  expect(response.statusCode).toBe(416);
  expect(response.headers['content-range']).toBe(`bytes */${wav.length}`);
  expect(response.headers).not.toHaveProperty('etag');
  expect(response.json()).toMatchObject({ code: 'RANGE_NOT_SATISFIABLE', errors: [{ field: 'Range' }] });
});

test('HEAD tells without sending', async () => {
  const response = await get('heard', { range: 'bytes=0-9' }, 'HEAD');
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-length']).toBe(String(wav.length));
  expect(response.rawPayload.length).toBe(0);
});

test('conditions', async () => {
  const etag = (await get('heard')).headers.etag as string;
  for (const header of [etag, `"other", W/${etag}`, '*']) {
    const response = await get('heard', { 'if-none-match': header });
    expect([response.statusCode, response.body]).toEqual([304, '']);
  }
  expect((await get('heard', { 'if-none-match': '"other"' })).statusCode).toBe(200);
  expect((await get('heard', { range: 'bytes=0-9', 'if-range': etag })).statusCode).toBe(206);
  expect((await get('heard', { range: 'bytes=0-9', 'if-range': '"other"' })).statusCode).toBe(200);
});

test.each(['text', 'nothing', 'input.language', 'input', 'parts', 'parts.1', '__proto__', '..%2f..%2fetc'])(
  'there is no artifact "%s"',
  async (name) => {
    const response = await get(name);
    expect(response.statusCode).toBe(404);
    expect(response.json()).toMatchObject({ code: 'ARTIFACT_NOT_FOUND', errors: [{ field: 'name' }] });
  },
);

test('another tenant’s run has none', async () => {
  const response = await get('heard', { 'millrace-tenant': 'acme' });
  expect(response.json()).toMatchObject({ status: 404, code: 'RUN_NOT_FOUND' });
});

test('while the run goes on there is its input only', async () => {
  gateway.temporal.onStart = () => {};
  const running = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/listen/runs',
    headers: { 'content-type': 'audio/wav' },
    payload: wav,
  });
  run = running.json();
  expect((await get('input.speech')).statusCode).toBe(200);
  expect((await get('heard')).json()).toMatchObject({
    code: 'ARTIFACT_NOT_FOUND',
    detail: expect.stringContaining('yet'),
  });
});

test('media of a run whose end Temporal is about to record is served', async () => {
  let record = () => {};
  gateway.temporal.onStart = (started) => {
    const speech = started.options.args[0].speech as Json;
    record = () => started.end({ output: { heard: speech }, stages: [] });
  };
  const running = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/listen/runs',
    headers: { 'content-type': 'audio/wav' },
    payload: wav,
  });
  const { id } = running.json() as RunDocument;
  setTimeout(() => record(), 100);
  const response = await gateway.app.inject(`/v1/runs/${id}/artifacts/heard`);
  expect(response.statusCode).toBe(200);
  expect(response.rawPayload.equals(wav)).toBe(true);
});

describe('media of a run whose result has been sent ahead of Temporal’s record', () => {
  const say = pipeline('say', { input: z.object({ speech: audio() }) }, ({ input, stage }) => ({
    text: stage('echo', echo, { text: 'x' }, { execution: 'inline' }).text,
    heard: input.speech,
  }));
  let sent: Set<string>;
  /** Called before a result is sent. */
  let noting: (run: string) => Promise<void>;
  const result = (speech: Json, text: string) => ({ output: { heard: speech, text }, stages: [] });

  beforeEach(async () => {
    await gateway.close();
    sent = new Set();
    noting = async (id) => void sent.add(id);
    let answer: (result: RunResult) => void = () => {};
    gateway = await testGateway(
      { maxWaitMs: 60_000 },
      {
        pipelines: [say] as unknown as Pipeline[],
        answers: {
          channel: 'answers',
          expect: () =>
            new Promise((resolve) => {
              answer = resolve;
            }),
          outcome: () => new Promise(() => undefined),
        },
        sentResults: {
          add: (id) => noting(id),
          has: async (id) => sent.has(id),
          erase: async (id) => void sent.delete(id),
        },
      },
    );
    gateway.temporal.onStart = ({ options }) => answer(result(options.args[0].speech as Json, 'sent'));
  });

  const start = async () => {
    const headers = { 'content-type': 'audio/wav', prefer: 'wait=60' };
    const response = await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/say/runs', headers, payload: wav });
    run = response.json();
    return run;
  };
  const record = (text = 'sent') => {
    const { options, end } = gateway.temporal.only();
    end(result(options.args[0].speech as Json, text));
  };

  test('is served however late the record is: until then its caller is to come again', async () => {
    expect(await start()).toMatchObject({ status: 'succeeded', output: { text: 'sent' } });
    const late = await get('heard');
    expect(late.json()).toMatchObject({ status: 503, code: 'ORCHESTRATOR_UNAVAILABLE' });
    expect(late.headers['retry-after']).toBe('1');
    // What needs an ended run is not told for good that this one has not ended.
    const erased = await gateway.app.inject({ method: 'DELETE', url: `/v1/runs/${run.id}` });
    expect(erased.json()).toMatchObject({ status: 503, code: 'ORCHESTRATOR_UNAVAILABLE' });
    record();
    expect((await get('heard')).rawPayload.equals(wav)).toBe(true);
  });

  test('is not known of a run that is erased: another one may have its id', async () => {
    await start();
    expect(sent).toEqual(new Set([run.id]));
    record();
    await gateway.app.inject({ method: 'DELETE', url: `/v1/runs/${run.id}` });
    expect(sent).toEqual(new Set());
  });

  test('is noted before its caller has it', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let answered = false;
    let noted = '';
    noting = async (id) => {
      noted = id;
      await released;
    };
    const response = start().then((document) => {
      answered = true;
      return document;
    });
    await expect.poll(() => noted).not.toBe('');
    expect(answered).toBe(false);
    release();
    expect(await response).toMatchObject({ status: 'succeeded', output: { text: 'sent' } });
  });

  test('comes from the record where it could not be noted', async () => {
    noting = async () => {
      setImmediate(() => record('recorded'));
      throw new MillraceError('STORE_UNAVAILABLE', 'the state store is away');
    };
    expect(await start()).toMatchObject({ status: 'succeeded', output: { text: 'recorded' } });
  });

  test('is not there yet where nobody has been sent a result', async () => {
    await start();
    sent.clear();
    expect((await get('heard')).json()).toMatchObject({ status: 404, code: 'ARTIFACT_NOT_FOUND' });
  });
});

test('waiting for that end counts against what a tenant may have of waits', async () => {
  await gateway.close();
  gateway = await testGateway({ maxStreamsOfTenant: 1 });
  gateway.temporal.onStart = () => {};
  const running = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/listen/runs',
    headers: { 'content-type': 'audio/wav' },
    payload: wav,
  });
  run = running.json();
  const codes = (await Promise.all([get('heard'), get('heard')])).map((response) => response.json().code as string);
  expect(codes.sort()).toEqual(['ARTIFACT_NOT_FOUND', 'TOO_MANY_STREAMS']);
  expect((await get('input.speech')).statusCode).toBe(200);
});
