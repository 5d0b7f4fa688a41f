import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { expectModestJson } from '../../../../gateway/input/json-size.js';
import { audio, pipeline } from '../../../../pipelines/index.js';
import { leastCpuMs } from '../../../support/cpu-time.js';
import { soonest } from '../../../support/soonest.js';
import { multipartBody, type TestGateway, testGateway } from '../../../support/test-gateway.js';

const filing = pipeline(
  'filing',
  { input: z.object({ lines: z.array(z.string()), anything: z.json().optional() }) },
  ({ input }) => ({ lines: input.lines }),
);
const recording = pipeline(
  'recording',
  { input: z.object({ tree: z.record(z.string(), z.union([audio(), z.json()])) }) },
  ({ input }) => ({ tree: input.tree }),
);

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({ maxJsonBytes: 8 * 2 ** 20 }, { pipelines: [filing, recording] });
});
afterEach(() => gateway.close());

interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly { readonly field: string; readonly message: string }[];
}

async function refusal(payload: string, name = 'filing', headers = { 'content-type': 'application/json' }) {
  const response = await gateway.app.inject({ method: 'POST', url: `/v1/pipelines/${name}/runs`, headers, payload });
  expect(response.statusCode).toBe(422);
  const problem = response.json() as Problem;
  expect(problem.code).toBe('INVALID_INPUT');
  return problem;
}

const list = (items: number) => `[${Array(items).fill('1').join(',')}]`;
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

describe('an input that is too large to be checked', () => {
  test('of too many values is refused before its schema sees it', async () => {
    const body = `{"lines":${list(4_000_000)}}`;
    const tookMs = await soonest(3_000, async () => {
      const { errors } = await refusal(body);
      expect(errors).toEqual([{ field: 'lines', message: expect.stringContaining('more than 100000 values') }]);
    });
    // Some 0.2 s, most of it the parser's; the schema's check took eleven.
    expect(tookMs).toBeLessThan(3_000);
  });

  test('a path of too many names in a form is none, also of a field of any JSON', async () => {
    const { headers, payload } = multipartBody([
      ['input', JSON.stringify({ lines: [], [`anything${'.a'.repeat(50_000)}`]: 1 })],
    ]);
    const tookMs = await soonest(2_000, async () => {
      const response = await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/filing/runs', headers, payload });
      expect([response.statusCode, response.json<Problem>().code]).toEqual([422, 'INVALID_INPUT']);
    });
    expect(tookMs).toBeLessThan(2_000);
  });

  test.each([
    '/v1/pipelines/filing/runs',
    '/v1/chat/completions',
    '/v1/responses',
    '/v1/messages',
    '/v1/agui/filing',
    '/a2a/filing',
    '/mcp',
  ])('of too many values is counted before it is parsed, at %s', async (url) => {
    const payload = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[${'[],'.repeat(400_000)}[]]}}`;
    const parse = vi.spyOn(JSON, 'parse');
    try {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const response = await gateway.app.inject({ method: 'POST', url, headers, payload });
      expect(response.statusCode).toBeGreaterThanOrEqual(400);
      expect(response.body).toContain('params: has more than 100000 values');
      expect(parse.mock.calls.filter(([text]) => text.length > 1_000_000)).toEqual([]);
    } finally {
      parse.mockRestore();
    }
  });

  test.each(['/v1/chat/completions', '/v1/responses', '/v1/messages', '/v1/agui/filing', '/a2a/filing', '/mcp'])(
    'of too many levels is refused before it is parsed, at %s',
    async (url) => {
      const deep = nested(20_000);
      const parse = vi.spyOn(JSON, 'parse');
      try {
        const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
        for (const payload of [
          `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${deep}}}`,
          `[{"jsonrpc":"2.0","id":${deep},"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`,
        ]) {
          const response = await gateway.app.inject({ method: 'POST', url, headers, payload });
          expect(response.statusCode).toBeGreaterThanOrEqual(400);
          expect(response.statusCode).toBeLessThan(500);
          expect(response.body).toContain('is nested more than 64 levels deep');
        }
        expect(parse.mock.calls.filter(([text]) => text.length > 10_000)).toEqual([]);
      } finally {
        parse.mockRestore();
      }
    },
  );

  test('counts what its fields have together', async () => {
    const half = list(60_000);
    const { errors } = await refusal(`{"lines":[],"anything":{"a":${half},"b":${half}}}`);
    expect(errors).toMatchObject([{ field: 'anything' }]);
  });

  test('counts what the parts of a form have together before the last of them is parsed', async () => {
    const parts = [...'abcdefgh'].map((name): [string, string, string] => [
      `anything.${name}`,
      list(30_000),
      'application/json',
    ]);
    const { headers, payload } = multipartBody(parts);
    const response = await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/filing/runs', headers, payload });
    expect(response.json()).toMatchObject({
      code: 'INVALID_INPUT',
      errors: [{ field: 'anything.g', message: 'has more than 100000 values, nested ones included' }],
    });
  });

  test.each(['filing', 'recording'])('of too many levels is refused, by %s', async (name) => {
    const field = name === 'filing' ? 'anything' : 'tree';
    const { errors } = await refusal(`{"${field}":{"a":${nested(100_000)}}}`, name);
    expect(errors).toEqual([{ field, message: 'is nested more than 64 levels deep' }]);
  });

  test.each(['text/plain', 'application/json'])('is refused of a form too, as %s', async (type) => {
    // An input as JSON text is read field by field, one of type application/json by the parser as a whole.
    const field = type === 'text/plain' ? 'anything' : 'input';
    const { payload, headers } = multipartBody([['input', `{"lines":[],"anything":${nested(200_000)}}`, type]]);
    const response = await gateway.app.inject({
      method: 'POST',
      url: '/v1/pipelines/filing/runs',
      headers,
      payload,
    });
    expect(response.json()).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field }] });
  });
});

describe('strings of a text', () => {
  test('are counted too: one that is no JSON has as many as it likes without a comma', async () => {
    const { errors } = await refusal('""'.repeat(400_001));
    expect(errors).toEqual([{ field: 'body', message: expect.stringContaining('more than 100000 values') }]);
  });

  test('with a quote in every second byte are read as fast as others', () => {
    const text = Buffer.from(`["${'\\"'.repeat(16_000_000)}"]`);
    // Each quote was searched for: a second and a half.
    expect(leastCpuMs(700, () => expectModestJson(text, 'body'))).toBeLessThan(700);
  });

  test('end where they end, however far away it is', () => {
    for (const length of [0, 1, 62, 63, 64, 65, 66, 200])
      for (const end of ['', '\\\\', '\\"', '\\\\\\"']) {
        const string = `"${'x'.repeat(length)}${end}"`;
        expect(() => expectModestJson(Buffer.from(`[${string},${list(200_002)}]`), 'body')).toThrow('100000 values');
        expect(() => expectModestJson(Buffer.from(`["${'['.repeat(200)}${string.slice(1)}]`), 'body')).not.toThrow();
      }
  });
});

describe('a refusal', () => {
  test('names twenty fields and counts the others', async () => {
    const { detail, errors } = await refusal(`{"lines":${list(50)}}`);
    expect(errors.map(({ field }) => field)).toEqual(Array.from({ length: 20 }, (_, i) => `lines.${i}`));
    expect(detail).toMatch(/; and 30 more$/);
  });

  test('names twenty unknown fields and counts the others', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`x${i}`, i]));
    const { detail, errors } = await refusal(JSON.stringify({ lines: [], ...unknown }));
    expect(errors).toHaveLength(20);
    expect(detail).toMatch(/; and 5 more$/);
  });

  test('does not repeat a name of a megabyte', async () => {
    const { detail, errors } = await refusal(JSON.stringify({ lines: [], ['x'.repeat(1_000_000)]: 1 }));
    expect(errors[0]?.field).toMatch(/^x{199}…$/);
    expect(detail.length).toBeLessThan(1_000);
  });
});
