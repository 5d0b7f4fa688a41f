import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { oipRestConnector } from '../../../../activities/connectors/oip-rest/index.js';
import type { ErrorCode } from '../../../../pipelines/errors.js';
import { loopbackServer } from './loopback-server.js';

/*
 * What no real server of the tests can be made to show. The bodies of Triton 2.51 and MLServer 1.7.1 were recorded from
 * those servers; KServe's and the proxies' were written after their sources. Everything else is in
 * test/contract/oip-rest.test.ts, against real servers.
 */

const server = loopbackServer();
const limit = () => AbortSignal.timeout(110_000);
const connect = () => oipRestConnector().connect(server.url);

const infer = (backend: Backend = connect(), signal = limit()) =>
  backend.invoke(
    {
      kind: 'infer',
      model: 'a/b',
      with: { inputs: { X: null }, outputs: { Y: { dtype: 'FP32', shape: [-1] } }, parameters: { priority: 1 } },
      input: { X: { dtype: 'INT64', shape: [1], data: ['9223372036854775807'] } },
    },
    { signal, audio: { read: () => fail(), write: () => fail() }, checkpoint: () => undefined, emit: () => undefined },
  );

function fail(): never {
  throw new Error('no audio here');
}

describe('what a failed call means', () => {
  it.each<[string, number, string, ErrorCode]>([
    ['Triton', 404, `{"error":"Request for unknown model: 'm' is not found"}`, 'MODEL_NOT_FOUND'],
    ['Triton', 400, `{"error":"Request for unknown model: 'm' has no available versions"}`, 'MODEL_NOT_FOUND'],
    ['Triton', 503, `{"error":"Request for unknown model: 'm' has no available versions"}`, 'MODEL_NOT_FOUND'],
    ['Triton', 400, '{"error":"Model version not ready"}', 'MODEL_NOT_FOUND'],
    ['Triton', 500, `{"error":"failed to load 'm', failed to poll from model repository"}`, 'MODEL_NOT_FOUND'],
    ['Triton', 400, `{"error":"unexpected inference input 'NOPE' for model 'm'"}`, 'BACKEND_REJECTED'],
    ['Triton', 500, '{"error":"failed to parse the request JSON buffer: Invalid value. at 1"}', 'BACKEND_REJECTED'],
    [
      'Triton',
      500,
      '{"error":"Unable to parse JSON bytes array: attempt to access JSON non-string as string"}',
      'BACKEND_REJECTED',
    ],
    [
      'Triton',
      500,
      `{"error":"Failed to process the request(s) for model 'm_0_0', message: Stub process 'm_0_0' is not healthy."}`,
      'BACKEND_BROKEN',
    ],
    [
      'Triton',
      500,
      `{"error":"Failed to process the request(s) for model 'm_0_0', message: ValueError: no"}`,
      'BACKEND_ERROR',
    ],
    [
      'Triton',
      500,
      `{"error":"Failed to process the request(s) for model 'm_0_0', message: ValueError: failed to parse the answer"}`,
      'BACKEND_ERROR',
    ],
    [
      'Triton',
      500,
      `{"error":"Failed to process the request(s) for model 'm_0_0', message: failed to load 'p', failed to poll from model repository"}`,
      'BACKEND_ERROR',
    ],
    ['Triton', 503, `{"error":"[request id: <id_unknown>] Exceeds maximum queue size"}`, 'BACKEND_OVERLOADED'],
    ['Triton', 503, '{"error":"Request timeout expired"}', 'BACKEND_OVERLOADED'],
    ['Triton', 501, '{"error":"doesn’t support models with decoupled transaction policy"}', 'BACKEND_REJECTED'],
    ['MLServer', 404, '{"error":"Model m not found"}', 'MODEL_NOT_FOUND'],
    ['MLServer', 404, '{"error":"Model m with version 2 not found"}', 'MODEL_NOT_FOUND'],
    ['MLServer', 400, '{"error":"Model m is not ready yet."}', 'MODEL_NOT_FOUND'],
    ['MLServer', 400, '{"error":"this input is refused"}', 'BACKEND_REJECTED'],
    [
      'MLServer',
      422,
      '{"detail":[{"type":"enum","loc":["body","inputs",0,"datatype"],"msg":"x"}]}',
      'BACKEND_REJECTED',
    ],
    ['MLServer', 500, 'Internal Server Error', 'BACKEND_ERROR'],
    ['KServe', 404, '{"error":"Model with name m does not exist."}', 'MODEL_NOT_FOUND'],
    ['KServe', 503, '{"error":"Model with name m is not ready."}', 'BACKEND_UNAVAILABLE'],
    ['KServe', 400, '{"error":"Expected \\"instances\\" or \\"inputs\\" to be a list"}', 'BACKEND_REJECTED'],
    ['a model', 400, '{"error":"the token model was not found in the text"}', 'BACKEND_REJECTED'],
    ['another server', 404, '{"detail":"Not Found"}', 'BACKEND_REJECTED'],
    ['a proxy', 401, '', 'BACKEND_UNAUTHORIZED'],
    ['a proxy', 403, '<html>', 'BACKEND_UNAUTHORIZED'],
    ['a proxy', 408, '', 'BACKEND_TIMEOUT'],
    ['a proxy', 413, '', 'BACKEND_REJECTED'],
    ['a proxy', 429, '', 'BACKEND_RATE_LIMITED'],
    ['a proxy', 502, '', 'BACKEND_UNAVAILABLE'],
    ['a proxy', 503, 'no healthy upstream', 'BACKEND_UNAVAILABLE'],
    ['a proxy', 504, '', 'BACKEND_TIMEOUT'],
    ['a proxy', 302, '', 'BACKEND_REJECTED'],
  ])('%s: %i %s is %s', async (_, status, body, code) => {
    server.gives(status, body, { location: '/elsewhere' });
    await expect(infer()).rejects.toMatchObject({ code, details: { endpoint: server.url } });
    expect(server.received).toHaveLength(1);
  });

  it('says what the server says, and of a traceback its last line', async () => {
    server.gives(400, '{"error":"this input is refused"}');
    await expect(infer()).rejects.toMatchObject({ message: `a/b at ${server.url}: HTTP 400: this input is refused` });
    server.gives(500, 'Traceback (most recent call last):\n  File "x.py"\nRuntimeError: no memory\n');
    await expect(infer()).rejects.toMatchObject({ message: `a/b at ${server.url}: HTTP 500: RuntimeError: no memory` });
    server.gives(500, 'x'.repeat(10_000));
    await expect(infer()).rejects.toMatchObject({ message: expect.stringMatching(/^.{0,600}…$/) });
  });

  it('does not take apart a failure of megabytes of JSON, which could fill the memory', async () => {
    server.gives(500, `{"pad":[${'{},'.repeat(700_000)}{}],"error":"no"}`);
    await expect(infer()).rejects.toMatchObject({
      code: 'BACKEND_ERROR',
      message: expect.stringContaining('HTTP 500: {"pad":[{},'),
    });
  });

  it('hears how long the server asks to wait', async () => {
    server.gives(429, '', { 'retry-after': '2' });
    await expect(infer()).rejects.toMatchObject({ code: 'BACKEND_RATE_LIMITED', details: { retryAfterMs: 2_000 } });
    server.gives(503, 'starting', { 'retry-after': '1' });
    await expect(infer()).rejects.toMatchObject({ code: 'BACKEND_OVERLOADED', details: { retryAfterMs: 1_000 } });
    server.gives(503, 'starting');
    await expect(infer()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { endpoint: server.url } });
  });
});

describe('answers that cannot be used', () => {
  it.each<[string, string, string]>([
    ['no JSON', '<html>', 'the answer is not JSON'],
    ['no UTF-8', '\xff', 'the answer is not text in utf-8'],
    ['an output that is missing', '{"outputs":[]}', 'output tensor Y: it is missing (there is: none)'],
    [
      'a null among numbers',
      '{"outputs":[{"name":"Y","datatype":"FP32","shape":[2],"data":[1,null]}]}',
      'output tensor Y: element 1, null, is not FP32',
    ],
    [
      'a type that nobody knows',
      '{"outputs":[{"name":"Y","datatype":"FP8","shape":[0],"data":[]}]}',
      'output tensor Y: unknown element type FP8',
    ],
  ])('%s is INVALID_OUTPUT', async (_, body, problem) => {
    server.gives(200, Buffer.from(body, 'latin1'), { 'content-type': 'application/json' });
    await expect(infer()).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: `a/b at ${server.url}: ${problem}`,
    });
  });

  it('a connection that breaks in mid-answer is BACKEND_UNAVAILABLE', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"outputs"');
      setTimeout(() => response.destroy(), 20);
    };
    await expect(infer()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('an answer above 64 MiB is refused, announced or not, and its connection closed', async () => {
    const closed: Promise<void>[] = [];
    for (const announced of [true, false]) {
      server.answer = (response) => {
        closed.push(new Promise((resolve) => response.once('close', resolve)));
        if (announced) response.setHeader('content-length', 65 * 1024 * 1024);
        const chunk = Buffer.alloc(1024 * 1024, 0x20);
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        more();
      };
      await expect(infer()).rejects.toMatchObject({
        code: 'BACKEND_REJECTED',
        message: expect.stringContaining('longer than 64 MiB'),
      });
    }
    await Promise.all(closed);
  });

  it('ends in the middle of a body when aborted, and closes the connection', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    let closed: Promise<void> = Promise.reject(new Error('not asked'));
    closed.catch(() => undefined);
    server.answer = (response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200).write('{');
      setTimeout(() => controller.abort(reason), 50);
    };
    await expect(infer(connect(), controller.signal)).rejects.toBe(reason);
    await closed;
  });
});

describe('requests', () => {
  it('puts the model’s name and 64-bit integers on the wire unharmed', async () => {
    server.gives(200, '{"outputs":[{"name":"Y","datatype":"FP32","shape":[1],"data":[2]},{"name":"Z"}]}');
    expect((await infer()).output).toEqual({ Y: { dtype: 'FP32', shape: [1], data: [2] } });
    expect(server.received).toMatchObject([
      {
        method: 'POST',
        url: '/v2/models/a%2Fb/infer',
        headers: { 'content-type': 'application/json' },
        body:
          '{"parameters":{"priority":1},"inputs":[{"name":"X","datatype":"INT64","shape":[1],' +
          '"data":[9223372036854775807]}],"outputs":[{"name":"Y"}]}',
      },
    ]);
  });

  it('takes an endpoint with a path, with or without a slash at its end', async () => {
    server.gives(200, '{"name":"m","versions":["1"]}');
    const prints = await Promise.all(
      ['', '/', '/serving', '/serving/'].map((path) =>
        oipRestConnector()
          .connect(server.url + path)
          .fingerprint('m', limit()),
      ),
    );
    expect(new Set(prints).size).toBe(1);
    expect(server.received.map(({ url }) => url).sort()).toEqual([
      '/serving/v2/models/m',
      '/serving/v2/models/m',
      '/v2/models/m',
      '/v2/models/m',
    ]);
  });

  it.each(['host:8000', 'ftp://host', 'http://user:secret@host', 'http://host?x=1', ''])(
    'refuses the endpoint "%s"',
    (endpoint) => {
      const error = (() => {
        try {
          return oipRestConnector().connect(endpoint);
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(error).toMatchObject({ code: 'INVALID_SETTING' });
      expect((error as Error).message).not.toContain('secret');
    },
  );

  it('sends through the transport that it is given', async () => {
    const urls: string[] = [];
    const transport = async (url: string) => {
      urls.push(url);
      return new Response('{}');
    };
    await oipRestConnector({ transport }).connect('https://host/base').fingerprint('m', limit());
    expect(urls).toEqual(['https://host/base/v2/models/m']);
  });
});

describe('fingerprints', () => {
  const of = (metadata: object) => {
    server.gives(200, JSON.stringify(metadata));
    return connect().fingerprint('m', limit());
  };

  it('changes with the versions and tensors, not with an order', async () => {
    const first = await of({ name: 'm', versions: ['1', '2'], inputs: [] });
    expect(await of({ inputs: [], versions: ['2', '1'], name: 'm' })).toBe(first);
    expect(await of({ name: 'm', versions: ['3'], inputs: [] })).not.toBe(first);
    expect(await of({ name: 'm', versions: ['1', '2'], inputs: [{ name: 'X' }] })).not.toBe(first);
  });
});

describe('a canary of a model that nothing is known of', () => {
  const metadata = {
    inputs: [
      { name: 'A', datatype: 'FP32', shape: [-1, 2] },
      { name: 'B', datatype: 'BYTES', shape: [1] },
      { name: 'C', datatype: 'BOOL', shape: [] },
      { name: 'D', datatype: 'FP8', shape: [1] },
    ],
  };
  const probe = (status: number, body: string) => {
    server.answer = (response, { method }) =>
      void response.writeHead(method === 'GET' ? 200 : status).end(method === 'GET' ? JSON.stringify(metadata) : body);
    return connect().probe('m', 'infer', limit());
  };

  it('is zeros in the smallest shape', async () => {
    await probe(200, '{"outputs":[]}');
    const [, call] = server.received;
    expect(JSON.parse(call?.body ?? '')).toEqual({
      inputs: [
        { name: 'A', datatype: 'FP32', shape: [1, 2], data: [0, 0] },
        { name: 'B', datatype: 'BYTES', shape: [1], data: [''] },
        { name: 'C', datatype: 'BOOL', shape: [], data: [false] },
      ],
    });
  });

  it.each([[[1, 3, 1024, 1024]], [[2 ** 40]], [[-2]]])(
    'is readiness where its inputs have the shape %j',
    async (shape) => {
      server.gives(200, JSON.stringify({ inputs: [{ name: 'A', datatype: 'FP32', shape }] }));
      await connect().probe('m', 'infer', limit());
      expect(server.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
        'GET /v2/models/m',
        'GET /v2/models/m/ready',
      ]);
    },
  );

  it.each([
    [400, 'zeros are refused'],
    [500, 'division by zero'],
    [200, '<html>'],
  ])('a %i by the model itself proves it alive', async (status, body) => {
    await probe(status, body);
  });

  it.each<[number, string, ErrorCode]>([
    [404, '{"error":"Model m not found"}', 'MODEL_NOT_FOUND'],
    [503, '', 'BACKEND_UNAVAILABLE'],
    [500, `{"error":"Stub process 'm_0_0' is not healthy."}`, 'BACKEND_BROKEN'],
  ])('a %i of the server does not', async (status, body, code) => {
    await expect(probe(status, body)).rejects.toMatchObject({ code, details: { endpoint: server.url } });
  });
});

describe('repairs', () => {
  const answers = (table: Readonly<Record<string, [number, string]>>) => {
    server.answer = (response, { url }) => {
      const [status, body] = table[url] ?? [404, '{"detail":"Not Found"}'];
      response.writeHead(status).end(body);
    };
  };
  const urls = () => server.received.map(({ url }) => url.replace('/v2/repository/', ''));

  it('waits while the model unloads, then loads it', async () => {
    let polls = 0;
    server.answer = (response, { url }) => {
      const state = polls++ < 4 ? 'UNLOADING' : 'UNAVAILABLE';
      response.end(url.endsWith('/index') ? JSON.stringify([{ name: 'm', version: '1', state }]) : '');
    };
    await connect().heal?.('m', limit());
    expect(urls().at(0)).toBe('models/m/unload');
    expect(urls().filter((path) => path === 'index').length).toBeGreaterThan(2);
    expect(urls().at(-1)).toBe('models/m/load');
  });

  it('loads a model that is not loaded, without an index too', async () => {
    answers({
      '/v2/repository/models/m/unload': [404, '{"error":"Model m not found"}'],
      '/v2/repository/models/m/load': [200, ''],
    });
    await connect().heal?.('m', limit());
    expect(urls()).toEqual(['models/m/unload', 'index', 'models/m/load']);
  });

  it.each<[string, number, string]>([
    ['no such path', 404, '{"detail":"Not Found"}'],
    ['no such method', 405, ''],
    ['Triton’s control mode', 503, '{"error":"explicit model load / unload is not allowed if polling is enabled"}'],
  ])('are given up for good: %s', async (_, status, body) => {
    server.gives(status, body);
    const backend = connect();
    await expect(backend.heal?.('m', limit())).rejects.toMatchObject({ details: { endpoint: server.url } });
    expect(backend.heal).toBeUndefined();
  });

  it('are not given up over one model that is not there', async () => {
    server.gives(404, '{"error":"Model m not found"}');
    const backend = connect();
    await expect(backend.heal?.('m', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(backend.heal).toBeDefined();
  });
});
