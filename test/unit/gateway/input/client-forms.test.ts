import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bodyOf } from '../../../../client/values.js';
import { audio, image, pipeline } from '../../../../pipelines/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { multipartBody, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

/* What the client sends of an input with files is the input that the run gets. */

const asked = pipeline(
  'asked',
  { input: z.object({ input: z.string().optional(), picture: image(), language: z.string().optional() }) },
  ({ input }) => ({ picture: input.picture }),
);
const heard = pipeline('heard', { input: z.object({ input: audio(), language: z.string() }) }, ({ input }) => ({
  input: input.input,
}));

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [asked, heard] });
});
afterEach(() => gateway.close());

const wav = wavFile();
const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(500)]);
const stored = (file: Buffer) =>
  expect.objectContaining({ bytes: file.length, uri: expect.stringMatching(/^artifact:/) });

const post = (name: string, request: { headers: Record<string, string>; payload: Buffer }) =>
  gateway.app.inject({ method: 'POST', url: `/v1/pipelines/${name}/runs`, ...request });
const inputOf = (response: { json(): unknown }) => (response.json() as RunDocument).input;

/** The input of a run that the client starts. */
async function started(name: string, input: object) {
  const form = new Response(bodyOf(input).body);
  const headers = { 'content-type': form.headers.get('content-type') ?? '' };
  return inputOf(await post(name, { headers, payload: Buffer.from(await form.arrayBuffer()) }));
}

describe('of a pipeline with a field called input', () => {
  const picture = new Blob([png]);

  test('the field beside a file has its own value', async () => {
    const question = { input: 'What is this?', language: 'en' };
    expect(await started('asked', { ...question, picture })).toEqual({ ...question, picture: stored(png) });
  });

  test('the other fields arrive where it is left out', async () => {
    expect(await started('asked', { language: 'en', picture })).toEqual({ language: 'en', picture: stored(png) });
  });

  test('the other fields arrive where it is a file', async () => {
    const input = new Blob([wav]);
    expect(await started('heard', { input, language: 'en' })).toEqual({ input: stored(wav), language: 'en' });
  });

  test('a part of its name without the type is still the field', async () => {
    const parts = multipartBody([
      ['input', '{"language": "en"}'],
      ['picture', png],
    ]);
    expect(inputOf(await post('asked', parts))).toEqual({ input: '{"language": "en"}', picture: stored(png) });
  });

  test('the part of the type may come without a file name', async () => {
    const parts = multipartBody([
      ['picture', png],
      ['input', '{"input": "{}"}', 'application/vnd.millrace.input+json'],
    ]);
    expect(inputOf(await post('asked', parts))).toEqual({ input: '{}', picture: stored(png) });
  });

  test('the field in the part of the type and in a part of its own is refused', async () => {
    const parts = multipartBody([
      ['input', 'What is this?'],
      ['input', '{"input": "And this?"}', 'application/vnd.millrace.input+json'],
      ['picture', png],
    ]);
    expect((await post('asked', parts)).json()).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: 'input' }] });
  });
});
