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

/** Files beside other values, in objects and lists. */
const scene = z.object({ scan: image(), note: z.string() });
const album = pipeline(
  'album',
  {
    input: z.object({
      title: z.string(),
      speaker: z.object({ voice: audio(), id: z.union([z.string(), z.number()]), about: z.string() }).optional(),
      pages: z.array(z.object({ scans: z.array(image()), note: z.string().nullable() })).optional(),
      clips: z.array(audio().nullable()).optional(),
      mixed: z.array(z.union([image(), z.string(), z.number(), scene])).optional(),
      grid: z.array(z.array(z.union([image(), z.string()]))).optional(),
    }),
  },
  ({ input }) => ({ title: input.title }),
);

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [asked, heard, album] });
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

describe('values beside files arrive as they are', () => {
  const title = 'An album';
  const clip = new Blob([wav]);
  const scan = new Blob([png]);

  test('in an object', async () => {
    const about = { id: 7, about: 'One line\nand another' };
    expect(await started('album', { title, speaker: { voice: clip, ...about } })).toEqual({
      title,
      speaker: { voice: stored(wav), ...about },
    });
  });

  test('in objects of a list, which have lists of files', async () => {
    const second = { scans: [], note: '1' };
    expect(await started('album', { title, pages: [{ scans: [scan, scan], note: null }, second] })).toEqual({
      title,
      pages: [{ scans: [stored(png), stored(png)], note: null }, second],
    });
  });

  test('in a list', async () => {
    const mixed = ['1', scan, 2, { scan, note: '3' }];
    expect(await started('album', { title, mixed, grid: [['a', scan], ['b']] })).toEqual({
      title,
      mixed: ['1', stored(png), 2, { scan: stored(png), note: '3' }],
      grid: [['a', stored(png)], ['b']],
    });
  });

  test('an earlier artifact in a list, and null', async () => {
    const first = await started('album', { title, clips: [clip] });
    const [{ uri }] = (first?.clips ?? [{ uri: 'none' }]) as [{ uri: string }];
    expect(await started('album', { title, clips: [{ uri }, null, clip] })).toEqual({
      title,
      clips: [stored(wav), null, stored(wav)],
    });
  });
});
