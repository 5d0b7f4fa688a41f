import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { address } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { wavFile } from '../support/wav-samples.js';

/**
 * Bad input at the door of the real gateway: each is a 4xx with a stable code and the field named, starts no run, and the
 * server goes on. The many variants of each are unit tests of the gateway.
 */
let base: string;
beforeAll(() => {
  base = address('GATEWAY_URL');
});

type Body = RequestInit['body'];

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly { field: string; message: string }[];
}

const wav = wavFile({ seconds: 1 });

async function post(body: Body, headers: Record<string, string>, pipeline = 'voice-assistant') {
  const response = await fetch(`${base}/v1/pipelines/${pipeline}/runs`, {
    method: 'POST',
    headers,
    ...(body !== undefined && { body }),
  });
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const problem = (await response.json()) as Refusal & Record<string, unknown>;
  expect(problem).toMatchObject({
    type: `urn:millrace:error:${problem.code}`,
    status: response.status,
    instance: `/v1/pipelines/${pipeline}/runs`,
    requestId: response.headers.get('x-request-id'),
  });
  expect(JSON.stringify(problem)).not.toMatch(/node_modules|\.js:|\.ts:/);
  return { status: problem.status, code: problem.code, field: problem.errors[0]?.field };
}

afterEach(async () => {
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
});

const audio = { 'content-type': 'audio/wav' };
const json = { 'content-type': 'application/json' };
const form = (name: string, file: Buffer) => {
  const data = new FormData();
  data.set(name, new Blob([new Uint8Array(file)]), 'question.wav');
  return data;
};

describe('media', () => {
  it.each([
    ['not audio', Buffer.from('this is no audio file, but a sentence')],
    ['a truncated WAV', wav.subarray(0, wav.length / 2)],
    ['a WAV cut in its header', wav.subarray(0, 30)],
    ['a zero-length WAV', wavFile({ seconds: 0 })],
    ['an MP3', Buffer.from('ID3\x04\0\0\0\0\0\0\0\0')],
  ])('%s', async (_, file) => {
    const refused = { status: 422, code: 'INVALID_MEDIA', field: 'speech' };
    expect(await post(new Uint8Array(file), audio)).toEqual(refused);
    expect(await post(form('speech', file), {})).toEqual(refused);
    expect(await post(JSON.stringify({ speech: { base64: file.toString('base64') } }), json)).toEqual(refused);
  });

  it('a WAV above the limit', async () => {
    const big = new Uint8Array(testSettings().MILLRACE_MAX_AUDIO_BYTES + 1);
    big.set(wavFile({ seconds: 0, dataSize: big.length - 44 }));
    const refused = { status: 413, code: 'BODY_TOO_LARGE', field: 'speech' };
    expect(await post(big, audio)).toEqual(refused);
    expect(await post(form('speech', Buffer.from(big.buffer)), {})).toEqual(refused);
  });
});

describe('the body', () => {
  it.each([
    ['none', undefined, {}],
    ['an empty file', '', audio],
    ['empty JSON', '', json],
  ])('empty: %s', async (_, body, headers) => {
    expect(await post(body, headers)).toEqual({ status: 400, code: 'EMPTY_BODY', field: 'body' });
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'video/mp4'])('of type %s', async (type) => {
    expect(await post('x', { 'content-type': type })).toEqual({
      status: 415,
      code: 'UNSUPPORTED_CONTENT_TYPE',
      field: 'Content-Type',
    });
  });

  it('that is not JSON', async () => {
    expect(await post('{"speech":', json)).toEqual({ status: 400, code: 'INVALID_JSON', field: 'body' });
  });
});

describe('the request', () => {
  it('for an unknown pipeline', async () => {
    expect(await post(new Uint8Array(wav), audio, 'no-such-pipeline')).toEqual({
      status: 404,
      code: 'PIPELINE_NOT_FOUND',
      field: 'pipeline',
    });
  });

  it('with an unknown field', async () => {
    const refused = { status: 422, code: 'INVALID_INPUT', field: 'colour' };
    const body = { speech: { base64: wav.toString('base64') }, colour: 'red' };
    expect(await post(JSON.stringify(body), json)).toEqual(refused);
    const data = form('speech', wav);
    data.set('colour', 'red');
    expect(await post(data, {})).toEqual(refused);
  });

  it('with a wrong type', async () => {
    expect(await post(JSON.stringify({ speech: 5 }), json)).toEqual({
      status: 422,
      code: 'INVALID_INPUT',
      field: 'speech',
    });
    expect(await post(JSON.stringify({ log: '/dev/null', ms: 'soon' }), json, 'three-steps')).toEqual({
      status: 422,
      code: 'INVALID_INPUT',
      field: 'ms',
    });
  });

  it('without a required field', async () => {
    expect(await post('{}', json)).toEqual({ status: 422, code: 'INVALID_INPUT', field: 'speech' });
  });

  it.each(['wait=soon', 'wait=-1', 'wait=', 'wait 30', 'wait=1000000'])('with Prefer: %s', async (prefer) => {
    expect(await post(new Uint8Array(wav), { ...audio, prefer })).toEqual({
      status: 400,
      code: 'INVALID_HEADER',
      field: 'Prefer',
    });
  });

  it('with an Idempotency-Key that stands for another body', async () => {
    const headers = { ...json, 'idempotency-key': `bad-input-${Date.now()}` };
    const first = await fetch(`${base}/v1/pipelines/three-steps/runs`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ log: '/dev/null', ms: 1 }),
    });
    expect(first.status).toBe(202);
    expect(await post(JSON.stringify({ log: '/dev/null', ms: 2 }), headers, 'three-steps')).toEqual({
      status: 422,
      code: 'IDEMPOTENCY_KEY_REUSED',
      field: 'Idempotency-Key',
    });
  });
});
