import { describe, expect, it } from 'vitest';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json } from '../../../../pipelines/json.js';
import { describedHttp, json } from './described-http.js';

/** What attempts leave of their jobs: a checkpoint draws the next attempt to the server that it names. */

const { server, open, call } = describedHttp();

const api = {
  request: { path: '/jobs', json: '$/input' },
  job: {
    id: '$/body/id',
    poll: { method: 'GET', path: '/jobs/{/job}' },
    everyMs: 10,
    done: { at: '/body/state', is: 'done' },
    failed: { at: '/body/state', is: 'failed' },
    result: { method: 'GET', path: '/jobs/{/job}/result' },
  },
  errors: [{ status: 200, when: { at: '/body/error', exists: true }, code: 'BACKEND_ERROR' }],
  response: { output: { a: '$/body/answer' } },
};

type Answer = readonly [status: number, body: string];
type Answers = Readonly<Record<'submit' | 'poll' | 'result', Answer>>;

const DONE: Answers = { submit: [202, '{"id":"j1"}'], poll: [200, '{"state":"done"}'], result: [200, '{"answer":42}'] };

/** A server whose jobs are done at once, unless it is said otherwise. */
const answers = (given: Partial<Answers>) => {
  const { submit, poll, result } = { ...DONE, ...given };
  server.answer = (response, { method, url }) => {
    const [status, body] = method === 'POST' ? submit : url.endsWith('/result') ? result : poll;
    response.writeHead(status, json).end(body);
  };
};

/** The checkpoint of a job that has begun. */
const begun = () => ({ endpoint: server.url, job: 'j1', asked: expect.any(String) });

/** Checkpoints of an attempt that fails, or does not. */
async function left(options: object = api, resumeFrom?: Json, signal = AbortSignal.timeout(110_000)): Promise<Json[]> {
  const kept: Json[] = [];
  const context = {
    signal,
    checkpoint: (progress: Json) => void kept.push(progress),
    ...(resumeFrom !== undefined && { resumeFrom }),
  };
  await call(options, { context }).catch(() => undefined);
  return kept;
}

describe('a job in a checkpoint', () => {
  it('is held by its server and by no other', () => {
    const backend = open('acme/any', api);
    const job = { endpoint: server.url, job: 'j1' };
    const stored = { endpoint: server.url, input: 's3://jobs/in/1', job: { output: 's3://jobs/out/1' } };
    for (const each of [job, stored, { batch: 64, of: job }]) expect(backend.holds?.(each)).toBe('preferred');
    const elsewhere = { ...job, endpoint: 'http://other.test' };
    // An input whose request was not answered is no job yet: any server may take it.
    const unsent = { endpoint: server.url, input: 's3://jobs/in/1' };
    const others: Json[] = [elsewhere, unsent, { batch: 64, of: elsewhere }, { batch: 64, of: unsent }];
    for (const each of [...others, { endpoint: server.url, job: null }, {}, [], null, 'j1', 1]) {
      expect(backend.holds?.(each)).toBe(false);
    }
  });

  it.each<[string, Partial<Answers>]>([
    ['whose questions fail', { poll: [500, '{}'] }],
    ['whose result cannot be fetched', { result: [503, '{}'] }],
  ])('%s stays there: the next attempt goes on with it', async (_, given) => {
    answers(given);
    expect(await left()).toEqual([begun()]);
    answers({});
    server.received = [];
    expect(await left(api, { endpoint: server.url, job: 'j1' })).toEqual([]);
    expect(server.received.map(({ method }) => method)).not.toContain('POST');
  });

  it.each<[string, Partial<Answers>]>([
    ['that has failed', { poll: [200, '{"state":"failed"}'] }],
    ['that is gone', { poll: [404, '{}'] }],
    ['whose result is gone', { result: [410, '{}'] }],
    ['whose result is a failure', { result: [200, '{"error":"e"}'] }],
    ['whose result does not fit', { result: [200, '{"reply":42}'] }],
  ])('%s is removed: the next attempt may go elsewhere', async (_, given) => {
    answers(given);
    expect(await left()).toEqual([begun(), null]);
  });

  it('is gone on with by the same call alone: an attempt may make several, one for each sentence', async () => {
    answers({});
    const kept: Json[] = [];
    const checkpoint = (progress: Json) => void kept.push(progress);
    await call(api, { input: { text: 'one' }, context: { checkpoint } });
    server.received = [];
    const context = { resumeFrom: kept[0] as Json, checkpoint };
    await call(api, { input: { text: 'one' }, context });
    expect(server.received.map(({ method }) => method)).not.toContain('POST');
    await call(api, { input: { text: 'two' }, context });
    expect(server.received.filter(({ method }) => method === 'POST').map(({ body }) => body)).toEqual([
      '{"text":"two"}',
    ]);
  });

  it('of an earlier attempt that has failed is removed before another one is submitted', async () => {
    answers({ submit: [500, '{}'], poll: [200, '{"state":"failed"}'] });
    expect(await left(api, { endpoint: server.url, job: 'j1' })).toEqual([null]);
  });

  it.each<[string, Partial<Answers>, Json[]]>([
    ['that its server does not know any more', { poll: [500, '{}'] }, [null]],
    ['whose result its server has lost', { result: [500, '{}'] }, [null]],
    ['whose server is busy', { poll: [429, '{}'] }, []],
    ['whose server is behind a proxy that does not reach it', { poll: [502, '{}'] }, []],
  ])('%s in a second attempt: %j leaves %j', async (_, given, kept) => {
    answers(given);
    expect(await left(api, { endpoint: server.url, job: 'j1' })).toEqual(kept);
  });

  it('at a server that hangs is removed by the attempt that goes on with it in vain, also where it cannot be cancelled', async () => {
    const timedOut = async (answered: number, resumeFrom?: Json) => {
      const late = new AbortController();
      let questions = 0;
      server.answer = (response, { method }) => {
        if (method === 'POST') response.writeHead(202, json).end('{"id":"j1"}');
        else if (questions++ < answered) response.writeHead(200, json).end('{"state":"working"}');
        else late.abort(new MillraceError('STAGE_TIMEOUT', 'the attempt took too long'));
      };
      return await left(api, resumeFrom, late.signal);
    };
    const job = { endpoint: server.url, job: 'j1' };
    expect(await timedOut(0), 'the server may be back').toEqual([begun()]);
    expect(await timedOut(1, job), 'it works').toEqual([]);
    expect(await timedOut(0, job)).toEqual([null]);
  });

  it('of a batch is removed as any other', async () => {
    const kept: Json[] = [];
    answers({ poll: [200, '{"state":"failed"}'] });
    const texts = Array.from({ length: 65 }, (_, i) => String(i));
    const context = { checkpoint: (progress: Json) => void kept.push(progress) };
    await expect(call(api, { kind: 'embed', input: { texts }, context })).rejects.toMatchObject({
      code: 'BACKEND_ERROR',
    });
    expect(kept).toEqual([{ batch: 0, of: begun() }, null]);
  });

  it.each<[string, Error, number]>([
    ['that is cancelled is removed', new Error('the attempt took too long'), 2],
    ['that is handed over stays', new HandedOver(), 1],
  ])('%s', async (_, reason, checkpoints) => {
    const leaving = new AbortController();
    const cancellable = { ...api, job: { ...api.job, cancel: { method: 'DELETE', path: '/jobs/{/job}' } } };
    server.answer = (response, { method }) => {
      if (method === 'GET') leaving.abort(reason);
      response.writeHead(200, json).end(method === 'POST' ? '{"id":"j1"}' : '{"state":"working"}');
    };
    const kept = await left(cancellable, undefined, leaving.signal);
    expect(kept).toEqual([begun(), null].slice(0, checkpoints));
  });
});
