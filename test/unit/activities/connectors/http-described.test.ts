import { describe, expect, it } from 'vitest';
import type { Backend, Call, CallContext } from '../../../../activities/connectors/connector.js';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import { httpConnector } from '../../../../activities/connectors/http/index.js';
import { optionsOf } from '../../../../activities/connectors/pool-options.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { soonest } from '../../../support/soonest.js';
import { loopbackServer } from './loopback-server.js';

/* APIs described by a pool's options. The presets' own tests are in servers/. */

const server = loopbackServer();
const http = httpConnector();
const artifact = { uri: `artifact://t/${'0'.repeat(64)}`, sha256: '0'.repeat(64), mime: 'image/png', bytes: 3 };

const parsed = (kind: string, options: object) => optionsOf(http, { kind, options: options as JsonObject }, 'options');
const open = (kind: string, options: object, key?: string): Backend =>
  http.connect(server.url, key, parsed(kind, options));

interface Asked {
  readonly kind?: string;
  readonly input?: JsonObject;
  readonly with?: JsonObject;
  readonly key?: string;
  readonly context?: Partial<CallContext>;
}

function call(options: object, { kind = 'acme/any', input = {}, with: given = {}, key, context = {} }: Asked = {}) {
  const asked: Call = { kind, model: 'm/1', with: given, input };
  return open(kind, options, key).invoke(asked, {
    signal: AbortSignal.timeout(30_000),
    audio: { read: () => Promise.reject(new Error('none')) as never, write: () => Promise.reject(new Error('none')) },
    bytes: async () => Uint8Array.from([1, 2, 3]),
    checkpoint: () => undefined,
    emit: () => undefined,
    ...context,
  });
}

const last = () => server.received.at(-1);
const sentJson = () => JSON.parse(last()?.body ?? 'null') as JsonObject;
const json = { 'content-type': 'application/json' };
const posts = (body: unknown) => ({ request: { path: '/x', json: body } });

describe('requests by templates', () => {
  it.each<[string, unknown, JsonObject, unknown]>([
    ['a reference', { a: '$/input/a' }, { a: [1, { b: null }] }, { a: [1, { b: null }] }],
    [
      'what the author wrote',
      { a: ['$x', '$', 'a $/input/a', 1, null] },
      {},
      { a: ['$x', '$', 'a $/input/a', 1, null] },
    ],
    ['JSON as it is', { $value: { $from: '$/input/a' } }, {}, { $from: '$/input/a' }],
    ['a default', { a: { $from: '/input/a', default: [1] } }, {}, { a: [1] }],
    [
      'a number between bounds',
      {
        a: { $from: '/input/a', least: 60, most: 3_600 },
        b: { $from: '/input/b', least: 60, most: 3_600 },
        c: { $from: '/input/c', least: 60, optional: true },
      },
      { a: 5, b: 9_000 },
      { a: 60, b: 3_600 },
    ],
    ['the first that there is', { $from: ['/input/b', '/input/a'] }, { a: 5 }, 5],
    ['what is left out', { a: { $from: '/input/a', optional: true }, b: [{ $omit: true }, 1] }, {}, { b: [1] }],
    [
      'each item',
      { $each: '/input/l', as: { at: '$/index', t: '$/item/t' } },
      { l: [{ t: 'x' }, { t: 'y' }] },
      [
        { at: 0, t: 'x' },
        { at: 1, t: 'y' },
      ],
    ],
    ['a text', { $text: ['a', '$/input/n', { $from: '/input/o', optional: true }], with: '-' }, { n: 7 }, 'a-7'],
    ['a text of a list', { $text: ['$/input/l'], with: ', ' }, { l: ['x', 'y'] }, 'x, y'],
    [
      'JSON in a text and out of one',
      { a: { $json: { x: '$/input/a' } }, b: { $parse: '/input/p' } },
      { a: '"', p: '{"z":[1]}' },
      { a: '{"x":"\\""}', b: { z: [1] } },
    ],
    ['a case', { $case: '/input/s', of: { yes: 1 }, default: '$/input/s' }, { s: 'no' }, 'no'],
    [
      'a tensor',
      { $nested: '/input/t' },
      { t: { dtype: 'FP32', shape: [2, 1, 2], data: [1, 2, 3, 4] } },
      [[[1, 2]], [[3, 4]]],
    ],
    ['a scalar tensor', { $nested: '/input/t' }, { t: { dtype: 'FP32', shape: [], data: [1] } }, 1],
    ['tensors', { $nested: '/input' }, { t: { dtype: 'INT8', shape: [0], data: [] } }, { t: [] }],
    ['a file', { $base64: '/input/f' }, { f: { ...artifact } }, 'AQID'],
    ['a data URL', { $dataUrl: '/input/f' }, { f: { ...artifact } }, 'data:image/png;base64,AQID'],
    [
      'names of Object',
      { a: { $from: '/input/constructor', default: 'none' }, b: { $from: '/input/l/length', default: 0 } },
      { l: [1] },
      { a: 'none', b: 0 },
    ],
  ])('%s', async (_, template, input, expected) => {
    server.gives(200, '{}', json);
    await call(posts(template), { input });
    expect(sentJson()).toEqual(expected);
  });

  it.each(['", "admin": true, "x": "', '$/values/secret', '{"$from":"/values/secret"}', '\u2028\u0000\ud800'])(
    'places the value %j as a value, whatever it says',
    async (text) => {
      server.gives(200, '{}', json);
      await call(
        { ...posts({ a: '$/input/a', b: { $text: ['> ', '$/input/a'] } }), values: { secret: 's' } },
        { input: { a: text } },
      );
      expect(sentJson()).toEqual({ a: text, b: `> ${text}` });
    },
  );

  it('puts values into paths, queries and headers, each in its own form', async () => {
    server.gives(200, '{}', json);
    const request = {
      method: 'GET',
      path: '/{model}/{version}/{/input/id}',
      query: { q: '$/input/q', none: { $from: '/input/none', optional: true } },
      headers: { 'X-Limit': { $from: '/call/leftMs', optional: true }, 'X-Tenant': '$/call/tenant' },
    };
    await call(
      { request, values: { version: 3 } },
      { input: { id: 'a/../b?c', q: 'x&y=z' }, context: { tenant: 'acme', endsAt: performance.now() + 60_000 } },
    );
    expect(last()?.url).toBe('/m%2F1/3/a%2F..%2Fb%3Fc?q=x%26y%3Dz');
    expect(last()?.headers['x-tenant']).toBe('acme');
    expect(Number(last()?.headers['x-limit'])).toBeGreaterThan(50_000);
  });

  it.each<[string, object, JsonObject, string]>([
    [
      'a header of two lines',
      { request: { path: '/x', headers: { 'x-a': '$/input/a' } } },
      { a: 'b\r\nx-admin: 1' },
      'x-a',
    ],
    ['a path upwards', { request: { path: '/x/{/input/a}' } }, { a: '..' }, 'a'],
    ['a query of objects', { request: { path: '/x', query: { a: '$/input/a' } } }, { a: { b: 1 } }, 'a'],
    ['a value that is missing', posts({ a: '$/input/a/b' }), { a: {} }, 'a.b'],
    ['a list that is none', posts({ $each: '/input/a', as: '$/item' }), { a: 'x' }, 'a'],
    ['a file that is none', posts({ $base64: '/input/a' }), { a: 'file:///etc/passwd' }, 'a'],
    ['a tensor of the wrong size', posts({ $nested: '/input/a' }), { a: { shape: [2, 2], data: [1] } }, 'a'],
  ])('refuses %s, and asks nobody', async (_, options, input, field) => {
    server.gives(200, '{}', json);
    await expect(call(options, { input })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: expect.stringContaining(field) }] },
    });
    expect(server.received).toEqual([]);
  });

  it('refuses a request that grows far beyond the input before it is made', async () => {
    const input = { l: Array.from({ length: 2_000 }, () => 0), t: 'x'.repeat(1_000_000) };
    const growing = { $each: '/input/l', as: '$/input/t' };
    const tookMs = await soonest(5_000, async () => {
      for (const made of [growing, { $text: [growing] }])
        await expect(call(posts(made), { input })).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    });
    expect(tookMs).toBeLessThan(5_000);
    expect(server.received).toEqual([]);
  });

  it('sends forms, files as they are, and several parts', async () => {
    server.gives(200, '{}', json);
    await call({ request: { path: '/x', form: { a: '$/input/a' } } }, { input: { a: 'x=y&z' } });
    expect([last()?.headers['content-type'], last()?.body]).toEqual([
      'application/x-www-form-urlencoded',
      'a=x%3Dy%26z',
    ]);
    await call({ request: { path: '/x', bytes: { $file: '/input/f' } } }, { input: { f: { ...artifact } } });
    expect([last()?.headers['content-type'], last()?.body]).toEqual(['image/png', '\u0001\u0002\u0003']);
    await call({ request: { path: '/x', bytes: { $file: '/input/f', else: '$/input/t' } } }, { input: { t: 'text' } });
    expect([last()?.headers['content-type'], last()?.body]).toEqual(['text/plain; charset=utf-8', 'text']);
    const multipart = { note: '$/input/n', more: '$/input/o', file: { $file: '/input/f', name: 'a"b.png' } };
    await call({ request: { path: '/x', multipart } }, { input: { n: '--\r\nx', o: { a: 1 }, f: { ...artifact } } });
    expect(last()?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(last()?.body).toContain('name="note"\r\n\r\n--\r\nx\r\n');
    expect(last()?.body).toContain('name="more"\r\n\r\n{"a":1}\r\n');
    expect(last()?.body).toContain(
      'name="file"; filename="a%22b.png"\r\nContent-Type: image/png\r\n\r\n\u0001\u0002\u0003',
    );
  });

  it.each([
    ['bearer', { authorization: 'Bearer user:secret-of-it' }],
    ['basic', { authorization: `Basic ${Buffer.from('user:secret-of-it').toString('base64')}` }],
    [{ header: 'X-Api-Key', prefix: 'k ' }, { 'x-api-key': 'k user:secret-of-it' }],
  ])('sends the key as %j, and never in an error', async (credential, headers) => {
    server.answer = (response, { headers: given }) =>
      void response.writeHead(401, json).end(JSON.stringify({ error: `bad key ${JSON.stringify(given)}` }));
    const error: Error = await call({ ...posts({}), credential }, { key: 'user:secret-of-it' }).then(
      () => new Error('no error'),
      (thrown) => thrown,
    );
    expect(last()?.headers).toMatchObject(headers);
    expect(error).toMatchObject({ code: 'BACKEND_UNAUTHORIZED', message: expect.stringContaining('bad key') });
    const told = `${error.message} ${error.stack} ${String(error.cause)}`;
    expect(told).not.toContain('secret-of-it');
    expect(told).not.toContain(Buffer.from('user:secret-of-it').toString('base64'));
  });
});

describe('options that do not fit are named when they are read', () => {
  it.each<[object, string, RegExp]>([
    [{}, 'options.request', /needs a preset, or request and response/],
    [{ preset: 'torchservee' }, 'options.preset', /did you mean "torchserve"/],
    [{ preset: 'tgi' }, 'options.request', /tgi has no request of a acme\/any stage/],
    [posts({ a: '$/inptu/a' }), 'options.request.json.a', /has nothing at \/inptu: there is \/model/],
    [posts({ $form: '/input/a' }), 'options.request.json.$form', /is no operator/],
    [posts({ $from: '/input/a', optinal: true }), 'options.request.json.optinal', /may not stand beside \$from/],
    [posts({ $each: '/input/a' }), 'options.request.json.as', /is required/],
    [posts({ $from: 'input/a' }), 'options.request.json.$from', /must be a JSON pointer/],
    [
      posts({ $each: '/input/l', as: { $base64: '/item' } }),
      'options.request.json.as.$base64',
      /cannot be of an item: a file is named by its place/,
    ],
    [posts('$/body/a'), 'options.request.json', /has nothing at \/body/],
    [{ request: { path: '/x', json: 1, form: {} } }, 'options.request', /json and form: a request has one body/],
    [{ request: { path: '/x', method: 'GET', json: 1 } }, 'options.request', /a GET has no body/],
    [{ request: { json: 1 } }, 'options.request', /needs a path/],
    [{ request: { path: '/x', headers: { Host: 'a' } } }, 'options.request.headers.Host', /connection sets/],
    [{ ...posts(1), errors: [{ code: 'INTERNAL' }] }, 'options.errors.0.code', /BACKEND_UNAVAILABLE/],
    [
      { ...posts(1), errors: [{ code: 'BACKEND_ERROR', when: { at: '/x', is: 1 } }] },
      'options.errors.0.when.at',
      /has nothing at \/x/,
    ],
    [{ ...posts(1), response: { output: '$/bdy' } }, 'options.response.output', /nothing at \/bdy/],
    [{ ...posts(1), respnse: {} }, 'options', /did you mean "response"/],
  ])('%j', (options, field, message) => {
    try {
      parsed('acme/any', options);
      expect.unreachable();
    } catch (error) {
      const { code, details } = error as { code: string; details: { fields: { field: string; message: string }[] } };
      expect(code).toBe('INVALID_SETTING');
      expect(details.fields).toContainEqual({ field, message: expect.stringMatching(message) });
    }
  });

  it('names a preset’s value that it does not have', () => {
    expect(() => parsed('classify', { preset: 'torchserve', values: { verison: 2 } })).toThrow(
      /verison: torchserve has no such value \(it has: version\).*"version"/,
    );
  });

  it('lets a pool replace members of its preset, and keeps the others', async () => {
    server.gives(200, '{"label":"yes"}', json);
    const options = {
      preset: 'kserve-v1',
      request: { json: { text: '$/input/text' } },
      response: { output: { label: '$/body/label' } },
    };
    const { output } = await call(options, { kind: 'classify', with: { labels: ['yes', 'no'] }, input: { text: 't' } });
    expect([last()?.url, sentJson()]).toEqual(['/v1/models/m%2F1:predict', { text: 't' }]);
    expect(output).toEqual({ label: 'yes', score: 1, scores: { yes: 1, no: 0 } });
  });
});

describe('many texts', () => {
  it('go in batches, each with an idempotency key of its own that every attempt has', async () => {
    server.answer = (response, { body }) =>
      void response.writeHead(200, json).end(JSON.stringify(JSON.parse(body).map(() => [1, 2])));
    const asked = {
      kind: 'embed',
      input: { texts: Array.from({ length: 5 }, () => 't') },
      context: { idempotencyKey: 'run/embed' },
    };
    const options = { ...posts('$/texts'), response: { output: { embeddings: '$/body' } }, batch: 2 };
    for (const _ of [1, 2]) await call(options, asked);
    const keys = ['run/embed', 'run/embed-2', 'run/embed-4'];
    expect(server.received.map(({ headers }) => headers['idempotency-key'])).toEqual([...keys, ...keys]);
  });
});

describe('answers', () => {
  const answers = (output: unknown) => ({ ...posts({}), response: { output } });

  it.each<[string, string, unknown, unknown]>([
    ['embed', '{"v":[[3,4]]}', { embedding: '$/body/v' }, { embedding: [0.6, 0.8] }],
    [
      'classify',
      '{"yes":0.2,"no":0.7,"else":9}',
      { scores: '$/body' },
      { label: 'no', score: 0.7, scores: { yes: 0.2, no: 0.7 } },
    ],
    [
      'classify',
      '[[{"label":"no","score":0.9}]]',
      { scores: '$/body' },
      { label: 'no', score: 0.9, scores: { yes: 0, no: 0.9 } },
    ],
    [
      'rerank',
      '{"r":[{"index":1,"score":2},{"index":0,"score":5}]}',
      { results: '$/body/r' },
      { passages: [{ id: 'a', text: 'A', score: 5 }] },
    ],
    ['transcribe', '" heard "', { text: '$/body' }, { text: 'heard' }],
    [
      'acme/any',
      '{"a":[1,2]}',
      { n: { $each: '/body/a', as: { v: '$/item', of: '$/input/id' } } },
      {
        n: [
          { v: 1, of: 'i' },
          { v: 2, of: 'i' },
        ],
      },
    ],
    ['infer', '[[1,2],[3,4]]', '$/body', { X: { dtype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] } }],
  ])('%s of %s', async (kind, body, output, expected) => {
    server.gives(200, body, json);
    const input = {
      id: 'i',
      text: 't',
      query: 'q',
      passages: [
        { id: 'a', text: 'A' },
        { id: 'b', text: 'B' },
      ],
    };
    const given = { labels: ['yes', 'no'], top: 1, outputs: { X: { dtype: 'FP32', shape: [-1, 2] } } };
    expect((await call(answers(output), { kind, input, with: given })).output).toEqual(expected);
  });

  it.each(['[{"label":"LABEL_1","score":0.99}]', '{"LABEL_0":0.1,"LABEL_1":0.9}', '{}'])(
    'scores of labels that the stage does not have are no answer: %s',
    async (body) => {
      server.gives(200, body, json);
      const given = { kind: 'classify', input: { text: 't' }, with: { labels: ['negative', 'positive'] } };
      await expect(call(answers({ scores: '$/body' }), given)).rejects.toMatchObject({
        code: 'INVALID_OUTPUT',
        message: expect.stringMatching(/other labels than the stage’s: .* instead of \["negative","positive"\]/),
      });
    },
  );

  it.each<[string, string, unknown, RegExp]>([
    ['acme/any', '{}', { a: '$/body/a' }, /\/body\/a is missing/],
    ['acme/any', '[1]', '$/body', /makes no object/],
    ['acme/any', '{', '$/body', /not JSON/],
    ['acme/any', `${'['.repeat(5_000)}${']'.repeat(5_000)}`, '$/body', /nested more than 64 deep/],
    ['embed', '{"v":[]}', { embedding: '$/body/v' }, /no list of numbers/],
    ['embed', '{"v":["a"]}', { embedding: '$/body/v' }, /no list of numbers/],
    ['classify', '{"s":[1]}', { scores: '$/body/s' }, /1 scores for 2 labels/],
    ['classify', '{"l":"maybe"}', { label: '$/body/l' }, /none of the stage’s/],
    ['rerank', '[{"index":7,"score":1}]', { results: '$/body' }, /index 7/],
    ['infer', '[[1,2],[3]]', '$/body', /3 elements for shape/],
  ])('%s of %s is INVALID_OUTPUT', async (kind, body, output, message) => {
    server.gives(200, body, json);
    const input = { text: 't', query: 'q', passages: [{ id: 'a', text: 'A' }] };
    const given = { labels: ['yes', 'no'], outputs: { X: { dtype: 'FP32', shape: [-1, 2] } } };
    await expect(call(answers(output), { kind, input, with: given })).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringMatching(message),
      details: { endpoint: server.url },
    });
  });

  it('embeds no tokens', async () => {
    const options = { ...posts('$/texts'), response: { output: { embeddings: '$/body' } } };
    await expect(call(options, { kind: 'embed', input: { tokens: [[1]] } })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
    expect(server.received).toEqual([]);
  });

  it('embeds many texts in requests of the pool’s batch size', async () => {
    server.answer = (response, { body }) =>
      void response.writeHead(200, json).end(JSON.stringify((JSON.parse(body) as unknown[]).map(() => [0, 2])));
    const { output } = await call(
      { ...posts('$/texts'), response: { output: { embeddings: '$/body' } }, batch: 2 },
      { kind: 'embed', input: { texts: ['a', 'b', 'c'] } },
    );
    expect(server.received.map(({ body }) => body)).toEqual(['["a","b"]', '["c"]']);
    expect(output).toEqual({
      embeddings: [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    });
  });

  it('makes probabilities of logits', async () => {
    server.gives(200, '[0,0]', json);
    const options = { ...posts({}), response: { output: { scores: '$/body' }, activation: 'softmax' } };
    expect((await call(options, { kind: 'classify', with: { labels: ['a', 'b'] } })).output).toMatchObject({
      score: 0.5,
    });
  });

  it('maps failures by rules in their order, then by status; also those inside a success', async () => {
    const options = {
      ...posts({}),
      errors: [
        { status: 200, when: { at: '/body/ok', is: false }, code: 'BACKEND_ERROR' },
        {
          status: [418, '5xx'],
          when: [
            { at: '/body/kind', is: 'COLD' },
            { at: '/headers/x-a', exists: true },
          ],
          code: 'BACKEND_UNAVAILABLE',
          unsent: true,
          retryAfterMs: 50,
        },
        { when: { at: '/text', has: 'too large' }, code: 'BACKEND_REJECTED' },
      ],
      message: ['/body/why', '/body'],
    };
    const failing = async (status: number, body: string, headers = {}) => {
      server.gives(status, body, { ...json, ...headers });
      return call(options).then(
        () => expect.unreachable(),
        (error: unknown) => error,
      );
    };
    expect(await failing(200, '{"ok":false,"why":"no memory"}')).toMatchObject({
      code: 'BACKEND_ERROR',
      message: expect.stringMatching(/HTTP 200: no memory$/),
    });
    expect(await failing(503, '{"kind":"cold"}', { 'x-a': '1' })).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { unsent: true, retryAfterMs: 50, endpoint: server.url },
    });
    expect(await failing(503, '{"kind":"cold"}', { 'x-a': '1', 'retry-after': '2' })).toMatchObject({
      details: { retryAfterMs: 2_000 },
    });
    expect(await failing(500, '{"error":"Body TOO LARGE"}')).toMatchObject({ code: 'BACKEND_REJECTED' });
    expect(await failing(429, 'slow down')).toMatchObject({
      code: 'BACKEND_RATE_LIMITED',
      message: expect.stringContaining('slow down'),
    });
  });

  it.each([
    ['finds a text in a failure of 3 MB', `["x","${'y'.repeat(3_000_000)}"]`, 'MODEL_NOT_FOUND'],
    [
      'takes one that is nested 100,000 deep for no more than its status says',
      `${'['.repeat(100_000)}"x"${']'.repeat(100_000)}`,
      'BACKEND_ERROR',
    ],
  ])('%s', async (_, body, code) => {
    const options = { ...posts({}), errors: [{ when: { at: '/body', has: 'x' }, code: 'MODEL_NOT_FOUND' }] };
    server.gives(500, body, json);
    await expect(call(options)).rejects.toMatchObject({ code });
  });

  it('does not follow a redirect to another origin with the key', async () => {
    server.gives(307, '', { location: server.url.replace('127.0.0.1', 'localhost') });
    await expect(call(posts({}), { key: 'secret-key' })).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    expect(server.received).toHaveLength(1);
  });
});

describe('streams', () => {
  const sse = {
    ...posts({}),
    response: {
      stream: { as: 'sse', delta: ['/body/t', '/body/u'], end: { at: '/body/end', is: true } },
      output: { text: '$/text', finish: 'stop' },
    },
  };
  const ndjson = {
    ...sse,
    response: { ...sse.response, stream: { ...sse.response.stream, as: 'ndjson', mode: 'whole' } },
  };
  const streaming = async (options: object, parts: readonly (string | Buffer)[], type = 'text/event-stream') => {
    server.answer = async (response) => {
      response.writeHead(200, { 'content-type': type });
      for (const part of parts) await new Promise((resolve) => response.write(part, resolve));
      response.end();
    };
    const chunks: (string | number)[] = [];
    const { output } = await call(options, {
      kind: 'chat',
      input: { prompt: 'p', history: [] },
      context: { emit: (chunk) => void chunks.push(chunk) },
    });
    return { text: output.text, chunks: chunks.filter((chunk) => chunk !== '') };
  };

  it('server-sent events, however they are cut', async () => {
    const whole =
      ': hi\r\nevent: x\r\ndata: {"t":"é",\r\ndata: "x":1}\r\n\r\ndata:{"u":"b"}\n\nid: 1\rdata: {"t":"c","end":true}\r\r';
    const bytes = Buffer.from(whole);
    const cuts = [[bytes], [...bytes].map((byte) => Buffer.from([byte]))];
    for (const parts of cuts) expect((await streaming(sse, parts)).text).toBe('ébc');
  });

  it('lines of JSON with the whole text so far', async () => {
    expect(
      await streaming(ndjson, ['{"t":"a"}\n{"t":"ab"}\n', '\n{"t":"ab","end":true}'], 'application/x-ndjson'),
    ).toEqual({ text: 'ab', chunks: ['a', 'b'] });
  });

  it('text as it arrives, and a last event that is no JSON', async () => {
    const plain = { ...posts({}), response: { stream: { as: 'text' }, output: { text: '$/text', finish: 'stop' } } };
    expect(
      (await streaming(plain, [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1), 'b'], 'text/plain')).text,
    ).toBe('éb');
    await expect(streaming(plain, [], 'text/plain')).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    const done = ['data: {"t":"a"}\n\ndata: [DONE]\n\ndata: {"t":"b"}\n\n'];
    const { end: _, ...unended } = sse.response.stream;
    expect((await streaming({ ...sse, response: { ...sse.response, stream: unended } }, done)).text).toBe('a');
    await expect(streaming(sse, done)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('broke off after 1 characters'),
    });
  });

  it.each(['vertex', 'pai-eas'])(
    'of %s that fails in the middle is no answer, though [DONE] follows',
    async (preset) => {
      const said = { choices: [{ delta: { content: 'The answer is' }, finish_reason: null }] };
      const failed = { error: { message: 'EngineCore died', type: 'InternalServerError', param: null, code: 500 } };
      const values = preset === 'vertex' ? { project: 'p', location: 'l' } : {};
      const events = [JSON.stringify(said), JSON.stringify(failed), '[DONE]'].map((data) => `data: ${data}\n\n`);
      await expect(streaming({ preset, values }, events)).rejects.toMatchObject({
        code: 'BACKEND_ERROR',
        message: expect.stringContaining('EngineCore died'),
      });
    },
  );

  it('leaves the connection to the next call, though more follows the event that ends the answer', async () => {
    const sockets = new Set<unknown>();
    let calls = 0;
    let finish = () => {};
    server.answer = (response) => {
      calls++;
      sockets.add(response.socket);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"t":"a","end":true}\n\n');
      finish = () => void response.end('data: {"usage":1}\n\ndata: [DONE]\n\n');
    };
    const again = async () => {
      await call(sse, { kind: 'chat', input: { prompt: 'p', history: [] } });
      finish();
      return calls - sockets.size;
    };
    await expect.poll(again, { timeout: 10_000 }).toBeGreaterThan(0);
  });

  it('closes the connection of an answer whose server goes on after its end', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    server.answer = (response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"t":"a","end":true}\n\n');
    };
    const { output } = await call(sse, { kind: 'chat', input: { prompt: 'p', history: [] } });
    expect(output.text).toBe('a');
    await closed;
  });

  it('a server that does not stream', async () => {
    expect((await streaming(sse, ['{"t":"whole","end":true}'], 'application/json')).text).toBe('whole');
  });

  it.each<[string, string, string]>([
    ['breaks off', 'data: {"t":"a"}\n\n', 'BACKEND_UNAVAILABLE'],
    ['is no JSON', 'data: {"t":\n\n', 'INVALID_OUTPUT'],
    ['has a line without end', `data: ${'x'.repeat(5 * 1_024 * 1_024)}`, 'INVALID_OUTPUT'],
    ['has an event without end', `${'data: x'.repeat(100_000)}\n`.repeat(9), 'INVALID_OUTPUT'],
  ])('a stream that %s', async (_, body, code) => {
    await expect(streaming(sse, [body])).rejects.toMatchObject({ code });
  });

  it('needs the capability, which only pools that stream have', () => {
    expect(http.capabilitiesOf?.(parsed('chat', sse)).has('stream')).toBe(true);
    expect(http.capabilitiesOf?.(parsed('chat', { ...posts({}), response: { output: '$/body' } })).has('stream')).toBe(
      false,
    );
  });
});

describe('jobs', () => {
  const api = {
    request: { path: '/jobs', json: '$/input' },
    job: {
      id: '$/body/id',
      poll: { method: 'GET', path: '/jobs/{/job}' },
      everyMs: 10,
      done: { at: '/body/state', is: 'done' },
      failed: { at: '/body/state', is: ['failed', 'cancelled'] },
      result: { method: 'GET', path: '/jobs/{/job}/result' },
      cancel: { method: 'DELETE', path: '/jobs/{/job}' },
    },
    response: { output: { a: '$/body/answer' } },
  };
  const lines = () => server.received.map(({ method, url }) => `${method} ${url}`);
  /** A job that is done after so many questions. */
  const jobs = (states: readonly (string | number)[]) => {
    const left = [...states];
    server.answer = (response, { method, url }) => {
      if (method === 'POST') return void response.writeHead(202, json).end('{"id":"j 1"}');
      if (url.endsWith('/result')) return void response.writeHead(200, json).end('{"answer":42}');
      const state = left.length > 1 ? left.shift() : left[0];
      if (typeof state === 'number') return void response.writeHead(state, json).end('{"error":"e"}');
      response.writeHead(200, json).end(JSON.stringify({ state }));
    };
  };

  it('are submitted, asked for, and fetched; a question that fails is asked again', async () => {
    jobs(['waiting', 503, 500, 'done']);
    expect((await call(api)).output).toEqual({ a: 42 });
    expect(lines()).toEqual(['POST /jobs', ...new Array(4).fill('GET /jobs/j%201'), 'GET /jobs/j%201/result']);
  });

  it.each<[readonly (string | number)[], string]>([
    [['failed'], 'BACKEND_ERROR'],
    [[401], 'BACKEND_UNAUTHORIZED'],
    [[503], 'BACKEND_UNAVAILABLE'],
    [[404], 'BACKEND_ERROR'],
  ])('that end with %j are %s', async (states, code) => {
    jobs(states);
    await expect(call(api)).rejects.toMatchObject({ code });
    expect(lines().filter((line) => line.startsWith('POST'))).toHaveLength(1);
    expect(lines().length).toBeLessThan(8);
  });

  it('a repeated attempt goes on with its job, and submits one anew only if that is gone or has failed', async () => {
    const kept: unknown[] = [];
    jobs(['waiting', 'done']);
    await call(api, { context: { checkpoint: (progress) => void kept.push(progress) } });
    expect(kept).toEqual([{ endpoint: server.url, job: 'j 1' }]);
    server.received = [];
    jobs(['waiting', 'done']);
    await call(api, { context: { resumeFrom: kept[0] as JsonObject } });
    expect(lines()[0]).toBe('GET /jobs/j%201');
    for (const gone of [404, 'cancelled']) {
      server.received = [];
      jobs([gone, 'done']);
      expect((await call(api, { context: { resumeFrom: kept[0] as JsonObject } })).output).toEqual({ a: 42 });
      expect(lines().slice(0, 2)).toEqual(['GET /jobs/j%201', 'POST /jobs']);
    }
    server.received = [];
    jobs(['done']);
    await call(api, { context: { resumeFrom: { endpoint: 'http://another', job: 'j 1' } } });
    expect(lines()[0]).toBe('POST /jobs');
  });

  it('of the batches of many texts are told apart by a repeated attempt, and each has a key of its own', async () => {
    const made = new Map<string, string[]>();
    let refused = '';
    server.answer = (response, { url, body }) => {
      const { pathname, searchParams } = new URL(url, server.url);
      const task = searchParams.get('task_id') ?? `task-${made.size + 1}`;
      if (pathname.endsWith('/submit')) made.set(task, JSON.parse(body).texts);
      else if (task === refused) return void response.writeHead(401, json).end('{}');
      const vectors = pathname.endsWith('/get') && made.get(task)?.map((text) => [Number(text), 1]);
      response.writeHead(200, json).end(JSON.stringify(vectors || { task_id: task, status: 'completed' }));
    };
    const asked = {
      kind: 'embed',
      input: { texts: Array.from({ length: 128 }, (_, i) => String(i)) },
      context: { idempotencyKey: 'run/embed' },
    };
    const kept: Json[] = [];
    const checkpoint = (progress: Json) => void kept.push(progress);
    refused = 'task-2';
    await expect(
      call({ preset: 'bentoml-task' }, { ...asked, context: { ...asked.context, checkpoint } }),
    ).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
    refused = '';
    const resumeFrom = kept.at(-1) as Json;
    server.received = [];
    const { output } = await call({ preset: 'bentoml-task' }, { ...asked, context: { ...asked.context, resumeFrom } });
    const ratios = (output.embeddings as number[][]).map(([x = 0, y = 1]) => Math.round(x / y));
    expect(ratios).toEqual(Array.from({ length: 128 }, (_, i) => i));
    // The second batch's job was there already.
    expect(made.size).toBe(3);
    expect([kept.length, (resumeFrom as JsonObject).batch]).toEqual([2, 64]);
  });

  it('are asked for no more often than the pool says, even where the server says at once', async () => {
    const times: number[] = [];
    server.answer = (response, { method, url }) => {
      if (method === 'POST') return void response.writeHead(202, json).end('{"id":"j"}');
      if (!url.endsWith('/result')) times.push(performance.now());
      const state = times.length < 4 ? 'waiting' : 'done';
      response.writeHead(200, { ...json, 'retry-after': '0' }).end(JSON.stringify({ state, answer: 1 }));
    };
    await call({ ...api, job: { ...api.job, everyMs: 50 } });
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(140);
  });

  it('have the key of their call in their submission alone', async () => {
    jobs(['waiting', 'done']);
    await call(api, { context: { idempotencyKey: 'run/a' } });
    const keys = server.received.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toEqual(['run/a', undefined, undefined, undefined]);
  });

  it('a call that is cancelled ends within a second and cancels its job', async () => {
    jobs(['waiting']);
    const controller = new AbortController();
    const reason = new Error('enough');
    const cancelled = new Promise<void>((resolve) => {
      const answer = server.answer;
      server.answer = (response, request) => {
        if (request.method === 'DELETE') resolve();
        if (request.method === 'GET') controller.abort(reason);
        answer(response, request);
      };
    });
    await expect(call(api, { context: { signal: controller.signal } })).rejects.toBe(reason);
    await cancelled;
  });

  it('a call whose worker stops leaves its job to the next attempt', async () => {
    const kept: Json[] = [];
    jobs(['waiting']);
    const { answer } = server;
    const controller = new AbortController();
    server.answer = (response, request) => {
      if (request.method === 'GET') controller.abort(new HandedOver());
      answer(response, request);
    };
    const stopped = { signal: controller.signal, checkpoint: (progress: Json) => void kept.push(progress) };
    await expect(call(api, { context: stopped })).rejects.toBeInstanceOf(HandedOver);
    jobs(['waiting', 'waiting', 'done']);
    const { output } = await call(api, { context: { resumeFrom: kept[0] as Json } });
    expect(output).toEqual({ a: 42 });
    const methods = server.received.map(({ method }) => method);
    expect(methods.filter((method) => method !== 'GET')).toEqual(['POST']);
  });

  it('are not asked for at another origin', async () => {
    server.answer = (response) =>
      void response.writeHead(202, { ...json, location: 'http://169.254.169.254/x' }).end('{}');
    const elsewhere = { ...api, job: { ...api.job, id: '$/headers/location', poll: { method: 'GET', url: '$/job' } } };
    await expect(call(elsewhere, { key: 'secret-key' })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('another origin'),
    });
    expect(server.received).toHaveLength(1);
  });
});

describe('health, canaries and versions', () => {
  const api = {
    ...posts('$/input'),
    health: { path: '/health/{model}', ready: { at: '/body/ready', is: true } },
    identity: { path: '/meta', at: ['/body/version'] },
  };
  const signal = () => AbortSignal.timeout(30_000);

  it('is ready when its health path says so', async () => {
    const backend = open('embed', api);
    server.gives(200, '{"ready":true}', json);
    expect(await backend.ready?.('m', signal())).toBe(true);
    expect(last()?.url).toBe('/health/m');
    server.gives(200, '{"ready":false}', json);
    await expect(backend.ready?.('m', signal())).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { unsent: true },
    });
    expect(open('embed', posts(1)).ready).toBeUndefined();
  });

  it('sends the smallest call of its kind as a canary, or the pool’s', async () => {
    server.gives(200, '[]', json);
    await open('embed', api).probe('m', 'embed', signal());
    expect(sentJson()).toEqual({ text: 'ok' });
    await open('embed', { ...api, canary: { input: { text: 'a' } } }).probe('m', 'embed', signal());
    expect(sentJson()).toEqual({ text: 'a' });
    await open('transcribe', { ...api, health: { path: '/ping' } }).probe('m', 'transcribe', signal());
    expect(last()?.url).toBe('/ping');
  });

  it('has a fingerprint that changes with what the server says of its weights', async () => {
    const backend = open('embed', api);
    server.gives(200, '{"version":1}', json);
    const one = await backend.fingerprint('m', signal());
    expect(await backend.fingerprint('m', signal())).toBe(one);
    server.gives(200, '{"version":2}', json);
    expect(await backend.fingerprint('m', signal())).not.toBe(one);
  });
});
