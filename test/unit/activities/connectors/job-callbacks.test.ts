import { describe, expect, it } from 'vitest';
import type { CallbackPort } from '../../../../activities/connectors/connector.js';
import type { Json } from '../../../../pipelines/json.js';
import { describedHttp, json } from './described-http.js';

const { server, call, parsed } = describedHttp();

/** Far longer than a test: only a callback ends a wait. */
const NEVER_MS = 600_000;

const api = (everyMs: number) => ({
  request: { path: '/jobs', json: { input: '$/input', notify: '$/call/callback' } },
  job: {
    id: '$/body/id',
    poll: { method: 'GET', path: '/jobs/{/job}' },
    everyMs,
    done: { at: '/body/state', is: 'done' },
    failed: { at: '/body/state', is: 'failed' },
    callback: true,
  },
  response: { output: { a: '$/body/answer' } },
});

/** Addresses of a gateway, and the tokens that have been called there. */
class Port implements CallbackPort {
  readonly opened: string[] = [];
  readonly called = new Set<string>();
  readonly closed: string[] = [];

  async open() {
    const token = `token-${this.opened.length + 1}`;
    this.opened.push(token);
    return { token, url: `https://millrace.example/v1/callbacks/${token}` };
  }
  arrived = async (token: string) => this.called.delete(token);
  close = async (token: string) => void this.closed.push(token);
}

/** A job that goes on until `end`, or until the question that is numbered so. */
function job(until = Number.POSITIVE_INFINITY) {
  const state = { questions: 0, ended: false };
  server.answer = (response, { method }) => {
    if (method === 'POST') return void response.writeHead(202, json).end('{"id":"j1"}');
    state.questions += 1;
    const done = state.ended || state.questions >= until;
    response.writeHead(200, json).end(JSON.stringify(done ? { state: 'done', answer: 42 } : { state: 'running' }));
  };
  return state;
}

const eventually = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('a job whose server calls', () => {
  it('is told the address, and asked for at once when it has called', async () => {
    const port = new Port();
    const state = job();
    const kept: Json[] = [];
    const checkpoint = (progress: Json) => void kept.push(progress);
    const answer = call(api(NEVER_MS), { input: { x: 1 }, context: { callbacks: port, checkpoint } });
    await eventually(() => state.questions === 1);
    expect(JSON.parse(server.received[0]?.body ?? '')).toEqual({
      input: { x: 1 },
      notify: 'https://millrace.example/v1/callbacks/token-1',
    });
    expect(kept).toEqual([{ endpoint: server.url, job: 'j1', asked: expect.any(String), callback: 'token-1' }]);
    state.ended = true;
    port.called.add('token-1');
    expect((await answer).output).toEqual({ a: 42 });
    expect(state.questions).toBe(2);
    expect(port.closed).toEqual(['token-1']);
  });

  it('is asked for at its intervals where it does not call, or too early', async () => {
    for (const called of [false, true]) {
      const port = new Port();
      if (called) port.called.add('token-1');
      const state = job(3);
      expect((await call(api(10), { context: { callbacks: port } })).output).toEqual({ a: 42 });
      expect(state.questions).toBe(3);
    }
  });

  it('is asked for at each call: before its submission is answered, at a step, and twice at its end', async () => {
    const port = new Port();
    const state = job();
    port.called.add('token-1');
    const answer = call(api(NEVER_MS), { context: { callbacks: port } });
    await eventually(() => state.questions === 2);
    port.called.add('token-1');
    await eventually(() => state.questions === 3);
    state.ended = true;
    for (const _ of [1, 2]) port.called.add('token-1');
    expect((await answer).output).toEqual({ a: 42 });
    expect(state.questions).toBe(4);
  });

  it('is waited for by the next attempt, by the address that it knows', async () => {
    const port = new Port();
    const state = job();
    const { asked } = await begunBy(port);
    const answer = call(api(NEVER_MS), {
      context: { callbacks: port, resumeFrom: { endpoint: server.url, job: 'j1', asked, callback: 'token-1' } },
    });
    await eventually(() => state.questions >= 2);
    const submitted = server.received.filter(({ method }) => method === 'POST').length;
    state.ended = true;
    port.called.add('token-1');
    expect((await answer).output).toEqual({ a: 42 });
    expect(submitted).toBe(1);
    expect(port.opened).toEqual(['token-1']);
  });

  it('is asked for at its intervals while it cannot be seen whether it has called', async () => {
    const port = new Port();
    port.arrived = () => Promise.reject(new Error('the store is away'));
    job(2);
    expect((await call(api(10), { context: { callbacks: port } })).output).toEqual({ a: 42 });
  });

  it('is not submitted where nobody can call', async () => {
    server.received = [];
    await expect(call(api(10))).rejects.toMatchObject({
      code: 'INVALID_SETTING',
      message: expect.stringContaining('MILLRACE_PUBLIC_URL'),
    });
    expect(server.received).toEqual([]);
  });

  it('has no address any more if it was not taken, or has failed', async () => {
    const port = new Port();
    server.answer = (response) => void response.writeHead(503, json).end('{}');
    await expect(call(api(10), { context: { callbacks: port } })).rejects.toThrow();
    expect(port.closed).toEqual(['token-1']);
    server.answer = (response, { method }) =>
      method === 'POST'
        ? void response.writeHead(202, json).end('{"id":"j1"}')
        : void response.writeHead(200, json).end('{"state":"failed"}');
    await expect(call(api(10), { context: { callbacks: port } })).rejects.toThrow();
    expect(port.closed).toEqual(['token-1', 'token-2']);
  });

  it('has no canary, whose job nobody would wait for', () => {
    const checked = { ...api(10), canary: { input: { x: 1 } } };
    expect(() => parsed('acme/any', checked)).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringContaining('options.canary') }),
    );
  });

  it('must be told where to call', () => {
    const silent = { ...api(10), request: { path: '/jobs', json: '$/input' } };
    expect(() => parsed('acme/any', silent)).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringContaining('options.job.callback') }),
    );
  });
});

/** What an attempt has kept that ended before its job. */
async function begunBy(port: Port): Promise<{ asked: string }> {
  const kept: { asked: string }[] = [];
  const controller = new AbortController();
  const ended = call(api(NEVER_MS), {
    context: {
      callbacks: port,
      signal: controller.signal,
      checkpoint: (progress: Json) => void kept.push(progress as { asked: string }),
    },
  }).catch(() => undefined);
  await eventually(() => kept.length > 0);
  controller.abort(new Error('the worker stops'));
  await ended;
  return kept[0] as { asked: string };
}
