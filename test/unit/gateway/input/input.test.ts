import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RunDocument } from '../../../../runs/document.js';
import { multipartBody, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway();
});
afterEach(() => gateway.close());

const wav = wavFile();
const other = wavFile({ hz: 880 });
const post = (request: { headers?: Record<string, string>; payload?: Buffer | string }, name = 'listen') =>
  gateway.app.inject({ method: 'POST', url: `/v1/pipelines/${name}/runs`, ...request });
const json = (body: unknown, name = 'listen', headers: Record<string, string> = {}) =>
  post({ headers: { 'content-type': 'application/json', ...headers }, payload: JSON.stringify(body) }, name);
const form = (parts: Parameters<typeof multipartBody>[0], name = 'listen') => post(multipartBody(parts), name);
const inputOf = (response: { json(): unknown }) => (response.json() as RunDocument).input;
const refusal = (status: number, code: string, ...fields: string[]) => ({
  status,
  code,
  type: `urn:millrace:error:${code}`,
  errors: fields.map((field) => expect.objectContaining({ field })),
});

describe('an input is taken', () => {
  const full = { speech: expect.objectContaining({ bytes: wav.length }), language: 'de', beams: 3, verbose: true };
  const rest = { language: 'de', beams: 3, verbose: true };

  test('as multipart, the fields as one JSON part, in either order', async () => {
    const input = JSON.stringify(rest);
    expect(
      inputOf(
        await form([
          ['speech', wav],
          ['input', input],
        ]),
      ),
    ).toEqual(full);
    expect(
      inputOf(
        await form([
          ['input', input],
          ['speech', wav],
        ]),
      ),
    ).toEqual(full);
    expect(
      inputOf(
        await form([
          ['input', input, 'application/json'],
          ['speech', wav, 'audio/wav'],
        ]),
      ),
    ).toEqual(full);
    expect(
      inputOf(
        await form([
          ['input', Buffer.from(input), 'application/json'],
          ['speech', wav],
        ]),
      ),
    ).toEqual(full);
    expect(
      inputOf(
        await form([
          ['input', Buffer.from(input), 'application/vnd.millrace.input+json'],
          ['speech', wav],
        ]),
      ),
    ).toEqual(full);
  });

  test('as multipart, a part for each field', async () => {
    const parts: Parameters<typeof multipartBody>[0] = [
      ['language', 'de'],
      ['beams', '3'],
      ['verbose', 'true'],
      ['speech', wav],
    ];
    expect(inputOf(await form(parts))).toEqual(full);
  });

  test('as multipart, a single file under any name', async () => {
    expect(inputOf(await form([['file', wav]]))).toMatchObject({ speech: { bytes: wav.length } });
  });

  test('as multipart, two files', async () => {
    const input = inputOf(
      await form(
        [
          ['right', other],
          ['left', wav],
        ],
        'compare',
      ),
    );
    expect(input).toMatchObject({ left: { bytes: wav.length }, right: { bytes: other.length } });
  });

  test('as JSON with base64, an artifact or its address', async () => {
    const first = await json({ speech: { base64: wav.toString('base64') } });
    expect(inputOf(first)).toMatchObject({ speech: { bytes: wav.length, mime: 'audio/wav' } });
    const speech = inputOf(first)?.speech as { uri: string; bytes: number };
    expect(inputOf(await json({ speech: { ...speech, bytes: 1 } }))).toEqual({
      speech: expect.objectContaining({ bytes: wav.length }),
      language: 'en',
    });
    expect(inputOf(await json({ speech: { uri: speech.uri } }))).toMatchObject({ speech: { bytes: wav.length } });
    expect(inputOf(await form([['speech', speech.uri]]))).toMatchObject({ speech: { bytes: wav.length } });
    expect(inputOf(await form([['input', JSON.stringify({ speech: { uri: speech.uri } })]]))).toMatchObject({
      speech: { bytes: wav.length },
    });
    const wrapped = (wav.toString('base64').match(/.{1,76}/g) ?? []).join('\n');
    expect(inputOf(await json({ speech: { base64: wrapped, mime: 'audio/x-wav' } }))).toMatchObject({
      speech: { bytes: wav.length },
    });
  });

  test.each(['audio/wav', 'audio/x-wav', 'audio/wav; codecs=1', 'application/octet-stream'])(
    'as a bare file, %s',
    async (type) => {
      const response = await post({ headers: { 'content-type': type }, payload: wav });
      expect(inputOf(response)).toMatchObject({ speech: { bytes: wav.length } });
    },
  );

  test('without media', async () => {
    expect(inputOf(await json({ name: 'Ada' }, 'greet'))).toEqual({ name: 'Ada' });
    expect(inputOf(await form([['name', '42']], 'greet'))).toEqual({ name: '42' });
  });
});

describe('an input is refused', () => {
  afterEach(async () => {
    expect(gateway.temporal.runs.size).toBe(0);
    expect(await gateway.incoming()).toEqual([]);
    expect((await post({ headers: { 'content-type': 'audio/wav' }, payload: wav })).statusCode).toBe(202);
  });

  test.each([
    ['no body', {}],
    ['an empty JSON body', { headers: { 'content-type': 'application/json' }, payload: '' }],
    ['an empty file', { headers: { 'content-type': 'audio/wav' }, payload: '' }],
    ['an empty form', { headers: { 'content-type': 'multipart/form-data; boundary=x' }, payload: '' }],
    ['a form without parts', { headers: { 'content-type': 'multipart/form-data; boundary=x' }, payload: '--x--\r\n' }],
  ])('%s', async (_, request) => {
    const response = await post(request);
    expect(response.json()).toMatchObject(refusal(400, 'EMPTY_BODY', 'body'));
  });

  test.each([
    ['not audio', Buffer.from('this is not audio at all'), /not WAV, MP3, .* audio: it is plain text/],
    ['truncated', wav.subarray(0, -10), /truncated/],
    ['zero length', wavFile({ seconds: 0 }), /length is zero/],
    ['AIFF', Buffer.from('FORM\0\0\0\0AIFFCOMM'), /looks like AIFF/],
    ['a cut MP3', Buffer.from('ID3\x04\0\0\0\0\0\0\0\0'), /mp3 file is truncated/],
  ])('media: %s', async (_, file, message) => {
    const ways = [
      await post({ headers: { 'content-type': 'audio/wav' }, payload: file }),
      await form([['speech', file]]),
      await json({ speech: { base64: file.toString('base64') } }),
    ];
    for (const response of ways) {
      expect(response.statusCode).toBe(422);
      expect(response.json()).toMatchObject({
        ...refusal(422, 'INVALID_MEDIA', 'speech'),
        detail: expect.stringMatching(message),
      });
    }
  });

  test('an empty file among others', async () => {
    expect((await form([['speech', Buffer.alloc(0)]])).json()).toMatchObject(refusal(422, 'INVALID_MEDIA', 'speech'));
  });

  test('media above the limit, announced or not', async () => {
    const big = wavFile({ seconds: 7 });
    const raw = await post({ headers: { 'content-type': 'audio/wav' }, payload: big });
    expect(raw.json()).toMatchObject(refusal(413, 'BODY_TOO_LARGE', 'speech'));
    expect((await form([['speech', big]])).json()).toMatchObject(refusal(413, 'BODY_TOO_LARGE', 'speech'));
    expect((await form([['speech', wavFile({ seconds: 20 })]])).json()).toMatchObject(
      refusal(413, 'BODY_TOO_LARGE', 'speech'),
    );
  });

  test('JSON above the limit', async () => {
    expect((await json({ speech: { base64: 'A'.repeat(120_000) } })).json()).toMatchObject(
      refusal(413, 'BODY_TOO_LARGE', 'body'),
    );
    expect((await form([['input', JSON.stringify({ language: 'x'.repeat(120_000) })]])).json()).toMatchObject(
      refusal(413, 'BODY_TOO_LARGE', 'input'),
    );
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense'])(
    'content type %s',
    async (type) => {
      const response = await post({ headers: { 'content-type': type }, payload: 'x=1' });
      expect(response.json()).toMatchObject({
        ...refusal(415, 'UNSUPPORTED_CONTENT_TYPE', 'Content-Type'),
        detail: expect.stringContaining('audio/wav'),
      });
    },
  );

  test('a bare file for a pipeline with two media fields, or none', async () => {
    for (const name of ['compare', 'greet']) {
      const response = await post({ headers: { 'content-type': 'audio/wav' }, payload: wav }, name);
      expect(response.json()).toMatchObject(refusal(415, 'UNSUPPORTED_CONTENT_TYPE', 'Content-Type'));
    }
  });

  test('a compressed body', async () => {
    const response = await post({
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      payload: 'x',
    });
    expect(response.json()).toMatchObject(refusal(415, 'UNSUPPORTED_CONTENT_TYPE', 'Content-Encoding'));
  });

  test('unknown pipeline, before its body is read', async () => {
    const response = await post({ headers: { 'content-type': 'text/plain' }, payload: 'x' }, 'nope');
    expect(response.json()).toMatchObject(refusal(404, 'PIPELINE_NOT_FOUND', 'pipeline'));
  });

  test('unknown fields, all named', async () => {
    const speech = { base64: wav.toString('base64') };
    expect((await json({ speech, colour: 1, size: 2 })).json()).toMatchObject(
      refusal(422, 'INVALID_INPUT', 'colour', 'size'),
    );
    expect(
      (
        await form([
          ['speech', wav],
          ['colour', 'red'],
        ])
      ).json(),
    ).toMatchObject(refusal(422, 'INVALID_INPUT', 'colour'));
    expect(
      (
        await form(
          [
            ['colour', wav],
            ['left', wav],
          ],
          'compare',
        )
      ).json(),
    ).toMatchObject(refusal(422, 'INVALID_INPUT', 'colour'));
    expect((await form([['language', wav]])).json()).toMatchObject(refusal(422, 'INVALID_INPUT', 'language'));
  });

  test('missing and wrong fields, all named', async () => {
    const response = await json({ language: 5, beams: 0, verbose: 'yes' });
    expect(response.json()).toMatchObject(refusal(422, 'INVALID_INPUT', 'speech', 'language', 'beams', 'verbose'));
    expect(response.json()).toMatchObject({ errors: [{ message: 'is required' }, {}, {}, {}] });
    expect(
      (
        await form([
          ['speech', wav],
          ['beams', 'many'],
        ])
      ).json(),
    ).toMatchObject(refusal(422, 'INVALID_INPUT', 'beams'));
    expect(
      (
        await form([
          ['speech', wav],
          ['speech', wav],
        ])
      ).json(),
    ).toMatchObject(refusal(422, 'INVALID_INPUT', 'speech'));
  });

  test.each([[5], ['x'], [null], [{}], [{ uri: 5 }], [[]]])('a media field that is %j', async (speech) => {
    expect((await json({ speech })).json()).toMatchObject(refusal(422, 'INVALID_INPUT', 'speech'));
  });

  test('bad references and base64', async () => {
    expect((await json({ speech: { uri: 'file:///etc/passwd' } })).json()).toMatchObject(
      refusal(422, 'INVALID_INPUT', 'speech.uri'),
    );
    expect((await json({ speech: { base64: '!!!' } })).json()).toMatchObject(
      refusal(422, 'INVALID_INPUT', 'speech.base64'),
    );
    expect((await json({ speech: { base64: 'AAAAA' } })).json()).toMatchObject(
      refusal(422, 'INVALID_INPUT', 'speech.base64'),
    );
    expect((await json({ speech: { base64: 'AAAA', mime: 'image/png' } })).json()).toMatchObject(
      refusal(422, 'INVALID_INPUT', 'speech.mime'),
    );
    const uri = `artifact://default/${'0'.repeat(64)}`;
    expect((await json({ speech: { uri } })).json()).toMatchObject(refusal(404, 'ARTIFACT_NOT_FOUND', 'speech'));
  });

  test.each(['{', 'nonsense', '{"speech":}', '\u0000'])('invalid JSON: %s', async (payload) => {
    const response = await post({ headers: { 'content-type': 'application/json' }, payload });
    expect(response.json()).toMatchObject(refusal(400, 'INVALID_JSON', 'body'));
  });

  test.each(['[]', '"x"', '5', 'null'])('JSON that is no object: %s', async (payload) => {
    const response = await post({ headers: { 'content-type': 'application/json' }, payload });
    expect(response.json()).toMatchObject(refusal(422, 'INVALID_INPUT', 'body'));
  });

  test('broken multipart', async () => {
    const body = multipartBody([['speech', wav]]);
    const cut = await post({ headers: body.headers, payload: body.payload.subarray(0, -60) });
    expect(cut.json()).toMatchObject(refusal(400, 'INVALID_MULTIPART', 'body'));
    const unbounded = await post({ headers: { 'content-type': 'multipart/form-data' }, payload: body.payload });
    expect(unbounded.json()).toMatchObject(refusal(400, 'INVALID_MULTIPART', 'body'));
    for (const [was, is] of [
      ['name="speech"; ', ''],
      ['form-data; name="speech"', 'form-data'],
    ] as const) {
      const payload = Buffer.from(body.payload.toString('latin1').replace(was, is), 'latin1');
      const nameless = await post({ headers: body.headers, payload });
      expect(nameless.json()).toMatchObject(refusal(400, 'INVALID_MULTIPART', 'body'));
    }
    const json = await form([
      ['input', '{'],
      ['speech', wav],
    ]);
    expect(json.json()).toMatchObject(refusal(400, 'INVALID_JSON', 'input'));
    const typed = await form([
      ['input', '{', 'application/json'],
      ['speech', wav],
    ]);
    expect(typed.json()).toMatchObject({ status: 400, code: 'INVALID_JSON' });
    const list = await form([
      ['input', '[1]'],
      ['speech', wav],
    ]);
    expect(list.json()).toMatchObject(refusal(422, 'INVALID_INPUT', 'input'));
  });

  test('too many parts', async () => {
    const parts = Array.from({ length: 150 }, (_, i): [string, string] => [`field${i}`, 'x']);
    expect((await form(parts)).json()).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' });
  });

  test('hostile names', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(
        (
          await form([
            [name, 'x'],
            ['speech', wav],
          ])
        ).statusCode,
      ).toBeGreaterThanOrEqual(400);
      const response = await post({
        headers: { 'content-type': 'application/json' },
        payload: `{"${name}":{"polluted":1},"speech":{"base64":"${wav.toString('base64')}"}}`,
      });
      expect(response.json()).toMatchObject({ status: 422, code: 'INVALID_INPUT' });
    }
    expect({}).not.toHaveProperty('polluted');
  });

  test.each([
    ['prefer', 'wait=soon', 'Prefer'],
    ['millrace-tenant', '../etc', 'Millrace-Tenant'],
    ['idempotency-key', 'two words', 'Idempotency-Key'],
  ])('header %s: %s', async (header, value, field) => {
    const response = await post({ headers: { 'content-type': 'audio/wav', [header]: value }, payload: wav });
    expect(response.json()).toMatchObject(refusal(400, 'INVALID_HEADER', field));
  });
});

test('another tenant’s artifact does not exist', async () => {
  const first = await json({ speech: { base64: wav.toString('base64') } }, 'listen', { 'millrace-tenant': 'acme' });
  const { uri } = (first.json() as { input: { speech: { uri: string } } }).input.speech;
  expect((await json({ speech: { uri } })).json()).toMatchObject(refusal(404, 'ARTIFACT_NOT_FOUND', 'speech'));
  expect((await json({ speech: { uri } }, 'listen', { 'millrace-tenant': 'acme' })).statusCode).toBe(202);
});
