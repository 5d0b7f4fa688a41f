import { describe, expect, it } from 'vitest';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { describedHttp, json } from './described-http.js';

const { server, call } = describedHttp();

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
    expect(kept).toEqual([{ endpoint: server.url, job: 'j 1', asked: expect.any(String) }]);
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

  it('are asked for no sooner than a server wants that refuses a question', async () => {
    const times: number[] = [];
    server.answer = (response, { method, url }) => {
      if (method === 'POST') return void response.writeHead(202, json).end('{"id":"j"}');
      if (url.endsWith('/result')) return void response.writeHead(200, json).end('{"answer":1}');
      times.push(performance.now());
      const refused = times.length === 1;
      response.writeHead(refused ? 429 : 200, { ...json, 'retry-after-ms': '400' }).end('{"state":"done"}');
    };
    await call(api);
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(350);
  });

  it.each(['', '.', '..', '\ud800', 'x'.repeat(9_000), { a: '..' }, null])(
    'cannot be asked for by the identifier %j, which is the server’s mistake',
    async (id) => {
      server.answer = (response) => void response.writeHead(202, json).end(JSON.stringify({ id }));
      await expect(call(api)).rejects.toMatchObject({
        code: 'INVALID_OUTPUT',
        message: expect.stringContaining('the job has no identifier'),
      });
      expect(lines()).toEqual(['POST /jobs']);
    },
  );

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

  it('go on while a proxy answers questions about them with a page', async () => {
    let questions = 0;
    server.answer = (response, { method, url }) => {
      if (method === 'POST') return void response.writeHead(202, json).end('{"id":"j"}');
      if (url.endsWith('/result')) return void response.writeHead(200, json).end('{"answer":42}');
      if (++questions > 2) return void response.writeHead(200, json).end('{"state":"done"}');
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Back soon</title>');
    };
    expect((await call(api)).output).toEqual({ a: 42 });
    expect(questions).toBe(3);
  });

  it('may have members in their identifier that no path has', async () => {
    server.answer = (response, { method, url }) => {
      if (method === 'POST') return void response.writeHead(202, json).end('{"id":"j","logs":"","parent":".."}');
      response.writeHead(200, json).end(url.endsWith('/result') ? '{"answer":42}' : '{"state":"done"}');
    };
    const path = '/jobs/{/job/id}';
    const { cancel: _, ...job } = api.job;
    const requests = { poll: { ...job.poll, path }, result: { ...job.result, path: `${path}/result` } };
    expect((await call({ ...api, job: { ...job, id: '$/body', ...requests } })).output).toEqual({ a: 42 });
    expect(lines()).toEqual(['POST /jobs', 'GET /jobs/j', 'GET /jobs/j/result']);
  });

  it('are not asked for with the user of an address that the server gives', async () => {
    server.answer = (response) => {
      const location = server.url.replace('http://', 'http://user:pass-of-it@');
      response.writeHead(202, { ...json, location: `${location}/jobs/1` }).end('{}');
    };
    const given = { ...api, job: { ...api.job, id: '$/headers/location', poll: { method: 'GET', url: '$/job' } } };
    const error = await call(given).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'BACKEND_REJECTED', message: expect.not.stringContaining('pass-of-it') });
    expect(server.received).toHaveLength(1);
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
