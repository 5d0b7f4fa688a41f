import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { audio, code, image, pipeline } from '../../../../pipelines/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { multipartBody, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const nothing = z.object({});
const echo = code('echo', { input: nothing, output: nothing }, (input) => input);

/** Media at every depth. */
const meeting = pipeline(
  'meeting',
  {
    input: z.object({
      speaker: z.object({ voice: audio(), name: z.string(), age: z.number().optional() }),
      clips: z.array(audio()).max(200).optional(),
      photo: image().nullable().optional(),
      sides: z.tuple([audio(), audio()]).optional(),
      source: z
        .union([
          z.object({ kind: z.literal('file'), file: audio() }),
          z.object({ kind: z.literal('web'), uri: z.string() }),
        ])
        .optional(),
      voices: z.record(z.string(), audio()).optional(),
      anything: z.json().optional(),
      words: z.array(z.string()).optional(),
    }),
  },
  ({ input, stage }) => {
    stage('echo', echo, {});
    return { name: input.speaker.name };
  },
);
const describeImage = pipeline('describe', { input: z.object({ picture: image() }) }, ({ input }) => ({
  picture: input.picture,
}));
const album = pipeline('album', { input: z.object({ pictures: z.array(image()) }) }, ({ input }) => ({
  pictures: input.pictures,
}));

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [meeting, describeImage, album] });
});
afterEach(() => gateway.close());

const wav = wavFile();
const other = wavFile({ hz: 880 });
const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(500)]);
const flac = Buffer.concat([
  Buffer.from('fLaC\0\0\0\x22\x10\0\x10\0', 'latin1'),
  Buffer.alloc(6),
  Buffer.from('0ac442f0000ac440', 'hex'),
  Buffer.alloc(100),
]);
const sent = (file: Buffer) => ({ base64: file.toString('base64') });
const stored = (file: Buffer) =>
  expect.objectContaining({ bytes: file.length, uri: expect.stringMatching(/^artifact:/) });

const post = (request: { headers: Record<string, string>; payload: Buffer | string }, name = 'meeting') =>
  gateway.app.inject({ method: 'POST', url: `/v1/pipelines/${name}/runs`, ...request });
const json = (body: unknown, name?: string) =>
  post({ headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) }, name);
const form = (parts: Parameters<typeof multipartBody>[0], name?: string) => post(multipartBody(parts), name);
const inputOf = (response: { json(): unknown }) => (response.json() as RunDocument).input;
const fieldsOf = (response: { json(): unknown }) =>
  (response.json() as { errors: { field: string }[] }).errors.map(({ field }) => field);

describe('JSON', () => {
  test('with media in objects, lists, tuples, records and unions', async () => {
    const response = await json({
      speaker: { voice: sent(wav), name: 'Ada' },
      clips: [sent(wav), sent(other)],
      photo: sent(png),
      sides: [sent(other), sent(wav)],
      source: { kind: 'file', file: sent(flac) },
      voices: { ada: sent(wav) },
      anything: { uri: 'not media', list: [sent(wav)] },
    });
    expect(inputOf(response)).toEqual({
      speaker: { voice: stored(wav), name: 'Ada' },
      clips: [stored(wav), stored(other)],
      photo: expect.objectContaining({ mime: 'image/png', bytes: png.length }),
      sides: [stored(other), stored(wav)],
      source: {
        kind: 'file',
        file: expect.objectContaining({ mime: 'audio/flac', sampleRate: 44_100, channels: 2, durationMs: 16_000 }),
      },
      voices: { ada: stored(wav) },
      anything: { uri: 'not media', list: [sent(wav)] },
    });
    const document = response.json() as RunDocument;
    expect(document.input).toMatchObject({
      clips: [{}, { href: `/v1/runs/${document.id}/artifacts/input.clips.1` }],
    });
    const { body } = await gateway.app.inject(`/v1/runs/${document.id}/artifacts/input.speaker.voice`);
    expect(body.length).toBeGreaterThan(0);
  });

  test('with an artifact’s address anywhere, null where it may be, and text that only looks like one', async () => {
    const first = await json({ speaker: { voice: sent(wav), name: 'Ada' } });
    const { uri } = (inputOf(first) as { speaker: { voice: { uri: string } } }).speaker.voice;
    const source = { kind: 'web', uri: 'https://example.org' };
    const response = await json({ speaker: { voice: { uri }, name: 'Ada' }, clips: [{ uri }], photo: null, source });
    expect(inputOf(response)).toEqual({
      speaker: { voice: stored(wav), name: 'Ada' },
      clips: [stored(wav)],
      photo: null,
      source,
    });
  });

  test.each([
    [{ speaker: { voice: sent(png), name: 'Ada' } }, 'INVALID_MEDIA', 'speaker.voice'],
    [{ speaker: { voice: sent(wav), name: 'Ada' }, clips: [sent(wav), { uri: 5 }] }, 'INVALID_INPUT', 'clips.1'],
    [{ speaker: { voice: sent(wav), name: 'Ada' }, photo: sent(wav) }, 'INVALID_MEDIA', 'photo'],
    [{ speaker: { voice: { ...sent(wav), mime: 'image/png' }, name: 'Ada' } }, 'INVALID_INPUT', 'speaker.voice.mime'],
    [{ speaker: { voice: sent(wav) } }, 'INVALID_INPUT', 'speaker.name'],
    [{ speaker: 5 }, 'INVALID_INPUT', 'speaker'],
    [{ speaker: null, clips: {} }, 'INVALID_INPUT', 'speaker'],
  ])('%j is refused by the name of its field', async (body, code, field) => {
    const response = await json(body);
    expect(response.json()).toMatchObject({ code });
    expect(fieldsOf(response)).toContain(field);
  });

  test('an image where audio belongs is refused also by its address', async () => {
    const first = await json({ speaker: { voice: sent(wav), name: 'Ada' }, photo: sent(png) });
    const { uri } = (inputOf(first) as { photo: { uri: string } }).photo;
    const response = await json({ speaker: { voice: { uri }, name: 'Ada' } });
    expect(response.json()).toMatchObject({ status: 422, code: 'INVALID_INPUT' });
    expect(fieldsOf(response)).toEqual(['speaker.voice']);
  });

  test('more than a thousand media', async () => {
    const first = await json({ speaker: { voice: sent(wav), name: 'Ada' } });
    const { uri } = (inputOf(first) as { speaker: { voice: { uri: string } } }).speaker.voice;
    const response = await json({ speaker: { voice: { uri }, name: 'Ada' }, clips: Array(1000).fill({ uri }) });
    expect(response.json()).toMatchObject({ status: 422, code: 'INVALID_INPUT' });
    expect(fieldsOf(response)).toEqual(['clips.999']);
  });
});

describe('a form', () => {
  test('with dotted paths, in any order, beside JSON', async () => {
    const response = await form([
      ['clips.1', other],
      ['speaker.voice', wav],
      ['input', JSON.stringify({ speaker: { name: 'Ada' }, clips: [sent(wav)] })],
      ['speaker.age', '36'],
      ['photo', png],
      ['voices.ada', wav],
      ['voices.__proto__', wav],
    ]);
    expect(inputOf(response)).toEqual({
      speaker: { voice: stored(wav), name: 'Ada', age: 36 },
      clips: [stored(wav), stored(other)],
      photo: stored(png),
      voices: { ada: stored(wav) }, // zod drops the other
    });
    expect({}).not.toHaveProperty('uri');
  });

  test('with items of lists as web forms name them', async () => {
    const response = await form([
      ['speaker', JSON.stringify({ voice: sent(wav), name: 'Ada' })],
      ['words[]', 'one'],
      ['clips[]', wav],
      ['words[]', '2'],
      ['clips[]', other],
    ]);
    expect(inputOf(response)).toMatchObject({ words: ['one', '2'], clips: [stored(wav), stored(other)] });
    expect(fieldsOf(await form([['speaker.name[]', 'Ada']]))).toContain('speaker.name[]');
  });

  test('with a list’s files one after the other, and references by path', async () => {
    const first = await json({ speaker: { voice: sent(wav), name: 'Ada' } });
    const { uri } = (inputOf(first) as { speaker: { voice: { uri: string } } }).speaker.voice;
    const response = await form([
      ['clips', wav],
      ['clips', other],
      ['speaker.voice', uri],
      ['speaker.name', '42'],
    ]);
    expect(inputOf(response)).toEqual({
      speaker: { voice: stored(wav), name: '42' },
      clips: [stored(wav), stored(other)],
    });
    expect(
      inputOf(
        await form(
          [
            ['a', png],
            ['b', png],
          ],
          'album',
        ),
      ),
    ).toEqual({ pictures: [stored(png), stored(png)] });
  });

  test('with references as JSON in parts of their own', async () => {
    const first = await json({ speaker: { voice: sent(wav), name: 'Ada' } });
    const { uri } = (inputOf(first) as { speaker: { voice: { uri: string } } }).speaker.voice;
    const response = await form([
      ['speaker.voice', JSON.stringify({ uri })],
      ['speaker.name', 'Ada'],
      ['clips.0', other],
      ['clips.1', ` ${JSON.stringify({ uri, mime: 'audio/wav' }, null, 2)}\n`],
      ['photo', JSON.stringify(sent(png))],
    ]);
    expect(inputOf(response)).toEqual({
      speaker: { voice: stored(wav), name: 'Ada' },
      clips: [stored(other), stored(wav)],
      photo: stored(png),
    });
    const broken = (await form([['speaker.voice', `{"uri": "${uri}"`]])).json();
    expect(broken).toMatchObject({ status: 400, code: 'INVALID_JSON', errors: [{ field: 'speaker.voice' }] });
    const levels = (await form([['speaker.voice', `{"uri": ${'['.repeat(200)}`]])).json();
    expect(levels).toMatchObject({ status: 422, code: 'INVALID_INPUT', errors: [{ field: 'speaker.voice' }] });
  });

  test.each<[string, [string, string | Buffer][], string]>([
    [
      'twice',
      [
        ['speaker.voice', wav],
        ['speaker.voice', wav],
      ],
      'speaker.voice',
    ],
    [
      'by JSON and by path',
      [
        ['input', JSON.stringify({ clips: [sent(wav)] })],
        ['clips.0', wav],
      ],
      'clips.0',
    ],
    [
      'below a field that is no object',
      [
        ['speaker', '5'],
        ['speaker.voice', wav],
      ],
      'speaker.voice',
    ],
    ['a file where a text belongs', [['speaker.name', wav]], 'speaker.name'],
    ['a path that is unknown', [['speaker.face', wav]], 'speaker.face'],
    ['a text of an unknown path', [['speaker.face', 'x']], 'speaker.face'],
    [
      'a gap in a list',
      [
        ['clips.1', wav],
        ['speaker.voice', wav],
        ['speaker.name', 'x'],
      ],
      'clips.0',
    ],
    ['an index far away', [['clips.4000000000', wav]], 'clips.4000000000'],
    ['an index in another notation', [['clips.01', wav]], 'clips.01'],
    ['a prototype', [['speaker.__proto__', wav]], 'speaker.__proto__'],
  ])('%s is refused', async (_, parts, field) => {
    const response = await form(parts);
    expect(response.json()).toMatchObject({ status: 422, code: 'INVALID_INPUT' });
    expect(fieldsOf(response)).toContain(field);
  });
});

describe('a bare image', () => {
  test.each(['image/png', 'image/x-anything', 'application/octet-stream'])('as %s', async (type) => {
    const response = await post({ headers: { 'content-type': type }, payload: png }, 'describe');
    expect(inputOf(response)).toEqual({ picture: expect.objectContaining({ mime: 'image/png', bytes: png.length }) });
  });

  test('is one picture of a list', async () => {
    const response = await post({ headers: { 'content-type': 'image/png' }, payload: png }, 'album');
    expect(inputOf(response)).toEqual({ pictures: [stored(png)] });
  });

  test('is refused when it is none, or too large', async () => {
    const audioFile = await post({ headers: { 'content-type': 'image/png' }, payload: wav }, 'describe');
    expect(audioFile.json()).toMatchObject({ status: 422, code: 'INVALID_MEDIA', errors: [{ field: 'picture' }] });
    const large = Buffer.concat([png, Buffer.alloc(200_000)]);
    const tooLarge = await post({ headers: { 'content-type': 'image/png' }, payload: large }, 'describe');
    expect(tooLarge.json()).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE', errors: [{ field: 'picture' }] });
  });
});
