import { describe, expect, it } from 'vitest';
import { plainContext } from '../../../../activities/connectors/plain-context.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { soonest } from '../../../support/soonest.js';
import { artifact, describedHttp, json, posts } from './described-http.js';

const { server, open, call, last, sentJson } = describedHttp();

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
    [
      'a file whose type has two lines',
      { request: { path: '/x', bytes: { $file: '/input/f' } } },
      { f: { ...artifact, mime: 'image/png\r\nx-admin: 1' } },
      'content-type',
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

describe('a model’s name', () => {
  it.each(['m\r\nx-admin: 1', 'm?x=1#y', '../admin', 'a/../b'])(
    '%j changes nothing but its own place',
    async (model) => {
      server.gives(200, '{}', json);
      const options = { request: { path: '/v1/{model}/run', json: { model: '$/model' } } };
      await open('acme/any', options).invoke(
        { kind: 'acme/any', model, with: {}, input: {} },
        plainContext(AbortSignal.timeout(110_000)),
      );
      expect(last()?.url).toBe(`/v1/${encodeURIComponent(model)}/run`);
      expect(sentJson()).toEqual({ model });
      expect(last()?.headers).not.toHaveProperty('x-admin');
    },
  );
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
