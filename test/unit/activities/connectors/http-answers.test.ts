import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { describedHttp, json, posts } from './described-http.js';

const { server, call } = describedHttp();

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
    ['acme/any', '{"error":{"message":"no memory"}}', { a: '$/body/a' }, /a is missing; the server says: no memory$/],
    ['classify', '{"detail":"no memory"}', { scores: '$/body' }, /other labels .*; the server says: no memory$/],
    [
      'embed',
      '{"errors":["no memory"],"v":[]}',
      { embedding: '$/body/v' },
      /of numbers .*; the server says: no memory$/,
    ],
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

  it('a page of HTML is no text of a model, and a text that is called HTML is one', async () => {
    const html = { 'content-type': 'text/html; charset=utf-8' };
    const heard = () => call(answers({ text: '$/body' }), { kind: 'transcribe' });
    server.gives(200, '\n<!doctype html><html><title>Sign in</title></html>', html);
    await expect(heard()).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('page of HTML'),
    });
    server.gives(200, '<3 was heard', html);
    expect((await heard()).output).toEqual({ text: '<3 was heard' });
  });

  it.each([200, 500])('of %i that unpack to more than 64 MiB are not read to their end', async (status) => {
    const packed = gzipSync(Buffer.alloc(80 * 1_024 * 1_024, ' '));
    expect(packed.byteLength).toBeLessThan(1_024 * 1_024);
    server.gives(status, packed, { ...json, 'content-encoding': 'gzip' });
    await expect(call(answers('$/body'))).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('longer than 64 MiB'),
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
