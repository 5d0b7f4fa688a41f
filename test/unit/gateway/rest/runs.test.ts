import { CancelledFailure, TerminatedFailure, TimeoutFailure, TimeoutType } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pipeline } from '../../../../pipelines/index.js';
import type { StageRecord } from '../../../../pipelines/run/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { failure, grpcError } from '../../../support/fake-temporal.js';
import { listen, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway();
});
afterEach(() => gateway.close());

const wav = wavFile();
const post = (headers: Record<string, string> = {}, payload: Buffer | string = wav, name = 'listen') =>
  gateway.app.inject({
    method: 'POST',
    url: `/v1/pipelines/${name}/runs`,
    headers: { 'content-type': 'audio/wav', ...headers },
    payload,
  });
const get = (url: string, headers: Record<string, string> = {}) => gateway.app.inject({ method: 'GET', url, headers });

const done: StageRecord = {
  stage: 'echo',
  kind: 'code',
  connector: 'code',
  model: 'echo',
  device: 'cpu0',
  status: 'done',
};
const endWith = (output: Record<string, unknown>) => {
  gateway.temporal.onStart = (run) => run.end({ output: output as never, stages: [done] });
};

describe('a run is started', () => {
  test('such that its tasks take turns with those of other tenants in a queue', async () => {
    await post({ 'millrace-tenant': 'acme' });
    expect(gateway.temporal.only().options).toMatchObject({ priority: { fairnessKey: 'acme' } });
  });

  test('such that its priority goes before turns', async () => {
    const url = '/v1/pipelines/listen/runs?priority=batch';
    await gateway.app.inject({ method: 'POST', url, headers: { 'content-type': 'audio/wav' }, payload: wav });
    expect(gateway.temporal.only().options.priority).toEqual({ fairnessKey: 'default', priorityKey: 5 });
  });

  test('as a workflow named by the pipeline, with all that it needs', async () => {
    const response = await post();
    expect(response.statusCode).toBe(202);
    const run = response.json<RunDocument>();
    expect(response.headers.location).toBe(`/v1/runs/${run.id}`);
    expect(run.id).toMatch(/^listen-[0-9a-f-]{36}$/);
    const { type, options } = gateway.temporal.only();
    expect(type).toBe('listen');
    expect(options).toMatchObject({
      workflowId: run.id,
      taskQueue: 'millrace',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowRunTimeout: 40_000,
      staticSummary: `listen · tenant default · version ${listen.plan.version}`,
      staticDetails: listen.description,
    });
    const [input, context] = options.args;
    expect(input).toEqual({
      speech: expect.objectContaining({ mime: 'audio/wav', bytes: wav.length, durationMs: 100, sampleRate: 16_000 }),
      language: 'en',
    });
    expect(context).toEqual({
      events: true,
      plan: listen.plan,
      placement: expect.any(Object),
      tenant: 'default',
      sealed: true,
      streamTag: expect.stringMatching(/^[0-9a-f]{8}$/),
      trace: expect.stringMatching(/^[0-9a-f]{32}-01$/),
    });
    expect(options.memo.streamTag).toBe(context.streamTag);
    expect(run).toEqual({
      id: run.id,
      pipeline: 'listen',
      version: listen.plan.version,
      tenant: 'default',
      status: 'running',
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      input: { speech: expect.objectContaining({ href: `/v1/runs/${run.id}/artifacts/input.speech` }), language: 'en' },
      links: { self: `/v1/runs/${run.id}`, ui: `http://ui.test/workflows/${run.id}/execution-1` },
    });
    expect(run.input?.language).toBe('en');
  });

  test('of a pipeline whose description is longer than what Temporal takes', async () => {
    const described = pipeline('told', { description: '語'.repeat(10_000), input: z.object({}) }, () => ({
      said: 'yes',
    }));
    const other = await testGateway({}, { pipelines: [described] });
    const started = await other.app.inject({ method: 'POST', url: '/v1/pipelines/told/runs', payload: {} });
    expect(started.statusCode).toBe(202);
    const details = String(other.temporal.only().options.staticDetails);
    expect(details).toMatch(/^語+$/);
    expect(Buffer.byteLength(details)).toBeLessThan(20_000);
    await other.close();
  });

  test('and its result is the answer when it comes within the wait', async () => {
    endWith({ text: 'hello' });
    const response = await post({ prefer: 'wait=2' });
    expect(response.statusCode).toBe(200);
    expect(response.headers['preference-applied']).toBe('wait=2');
    expect(response.json()).toMatchObject({ status: 'succeeded', output: { text: 'hello' }, stages: [done] });
    expect(response.json()).toHaveProperty('endedAt');
  });

  test('and a wait that is over gives 202 with the stages so far', async () => {
    gateway.temporal.stages = [{ ...done, status: 'running' }];
    const start = performance.now();
    const response = await post({ prefer: 'wait=1' });
    expect(performance.now() - start).toBeGreaterThan(950);
    expect(response.statusCode).toBe(202);
    expect(response.json()).toMatchObject({ status: 'running', stages: [{ stage: 'echo', status: 'running' }] });
  });

  test('and a longer wait than allowed is cut, and said so', async () => {
    endWith({ text: 'hello' });
    expect((await post({ prefer: 'wait=600' })).headers['preference-applied']).toBe('wait=2');
  });

  test('and Temporal failing while it is waited for does not lose its id', async () => {
    gateway.temporal.onStart = () => {
      gateway.temporal.outage = grpcError(14, 'unavailable');
    };
    const response = await post({ prefer: 'wait=1' });
    expect(response.statusCode).toBe(202);
    expect(response.json<RunDocument>().id).toBe(gateway.temporal.only().options.workflowId);
  });
});

describe('a run that failed', () => {
  const details = { stages: [{ ...done, status: 'failed' }], stage: 'echo', endpoint: 'x' };

  test('gives the status of its error, with the run, to who waited', async () => {
    gateway.temporal.onStart = (run) => run.end(failure('BACKEND_UNAVAILABLE', 'stage "echo": no server', details));
    const response = await post({ prefer: 'wait=1' });
    expect(response.statusCode).toBe(503);
    expect(response.headers['content-type']).toContain('application/problem+json');
    const run = gateway.temporal.only().options.workflowId;
    expect(response.json()).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      detail: 'stage "echo": no server',
      run: { id: run, status: 'failed', stages: [{ status: 'failed' }], error: { stage: 'echo' } },
    });
  });

  test.each([
    ['a stage', failure('STAGE_TIMEOUT', 'late', { stage: 'echo' }), 'failed', 'STAGE_TIMEOUT'],
    ['an unknown code', failure('SOMETHING', 'odd', {}), 'failed', 'RUN_FAILED'],
    ['a cancellation', new CancelledFailure('cancelled'), 'cancelled', 'RUN_CANCELLED'],
    ['a termination', new TerminatedFailure('by hand'), 'failed', 'RUN_FAILED'],
    ['the backstop', new TimeoutFailure('t', undefined, TimeoutType.START_TO_CLOSE), 'failed', 'DEADLINE_EXCEEDED'],
  ])('by %s is shown with 200', async (_, error, status, code) => {
    gateway.temporal.onStart = (run) => run.end(error);
    const { id } = (await post()).json<RunDocument>();
    const response = await get(`/v1/runs/${id}`);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toMatchObject({ id, status, error: { code } });
  });
});

/** What is counted as started. */
async function started() {
  const metric = gateway.deps.registry.getSingleMetric('millrace_runs_started_total');
  const { values } = (await metric?.get()) ?? { values: [] };
  return values.map(({ labels, value }) => [labels.pipeline, labels.priority, value]);
}

describe('an idempotency key', () => {
  const key = { 'idempotency-key': 'order-1' };

  test('stands for one run, also after it has ended', async () => {
    const first = await post(key);
    const second = await post(key);
    expect(first.headers['idempotency-replayed']).toBeUndefined();
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.statusCode).toBe(202);
    expect(second.json<RunDocument>().id).toBe(first.json<RunDocument>().id);
    const run = gateway.temporal.only();
    run.closed = new Date('2026-01-01T00:00:00.000Z');
    run.end({ output: { text: 'hi' }, stages: [] });
    const third = await post({ ...key, prefer: 'wait=1' });
    expect(third.statusCode).toBe(200);
    const ended = { status: 'succeeded', output: { text: 'hi' }, endedAt: '2026-01-01T00:00:00.000Z' };
    expect(third.json()).toMatchObject(ended);
    expect((await post(key)).statusCode).toBe(200);
    expect(await started()).toEqual([['listen', 'default', 1]]);
  });

  test('with another input is refused', async () => {
    await post(key);
    const response = await post(key, wavFile({ hz: 880 }));
    expect(response.statusCode).toBe(422);
    expect(response.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED', errors: [{ field: 'Idempotency-Key' }] });
  });

  test('is of one tenant and one pipeline', async () => {
    await post(key);
    await post({ ...key, 'millrace-tenant': 'acme' });
    const json = { ...key, 'content-type': 'application/json' };
    await post(json, '{"name":"x"}', 'greet');
    expect(gateway.temporal.runs.size).toBe(3);
  });

  test('races: of many at once one run starts', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => post(key)));
    expect(new Set(all.map((response) => response.json<RunDocument>().id)).size).toBe(1);
    expect(all.filter((response) => response.headers['idempotency-replayed'] === undefined).length).toBe(1);
  });

  test.each(['', 'with space', 'é', 'x'.repeat(256)])('"%s" is refused', async (bad) => {
    const response = await post({ 'idempotency-key': bad });
    expect(response.json()).toMatchObject({ code: 'INVALID_HEADER', errors: [{ field: 'Idempotency-Key' }] });
  });
});

describe('a run is shown', () => {
  test('while it runs, with the stages that a worker tells', async () => {
    const { id } = (await post()).json<RunDocument>();
    expect((await get(`/v1/runs/${id}`)).json()).not.toHaveProperty('stages');
    gateway.temporal.stages = [{ ...done, status: 'running' }];
    const run = (await get(`/v1/runs/${id}`)).json();
    expect(run).toMatchObject({ status: 'running', input: { language: 'en' }, stages: [{ status: 'running' }] });
    expect(run).not.toHaveProperty('endedAt');
  });

  test('with the server that a stage waits for, of which the workflow itself does not know', async () => {
    const { id } = (await post()).json<RunDocument>();
    gateway.temporal.stages = [{ ...done, status: 'running' }];
    gateway.temporal.heartbeats = [{ waits: 0 }, { waits: 3, stage: 'echo', doing: 'waiting for assistant' }];
    expect((await get(`/v1/runs/${id}`)).json()).toMatchObject({ stages: [{ doing: 'waiting for assistant' }] });
    gateway.temporal.heartbeats = [{ waits: 3, lost: { losses: 0 } }];
    expect((await get(`/v1/runs/${id}`)).json<RunDocument>().stages?.[0]).not.toHaveProperty('doing');
  });

  test('not to another tenant, and not when it is none', async () => {
    const { id } = (await post({ 'millrace-tenant': 'acme' })).json<RunDocument>();
    expect((await get(`/v1/runs/${id}`, { 'millrace-tenant': 'acme' })).statusCode).toBe(200);
    for (const url of [`/v1/runs/${id}`, '/v1/runs/listen-1', '/v1/runs/%20', `/v1/runs/${'x'.repeat(250)}`]) {
      const response = await get(url);
      expect(response.statusCode).toBe(404);
      expect(response.json()).toMatchObject({ code: 'RUN_NOT_FOUND', errors: [{ field: 'id' }] });
    }
  });

  test('not when the workflow is none of Millrace’s', async () => {
    const { id } = (await post()).json<RunDocument>();
    delete gateway.temporal.only().options.memo.fingerprint;
    expect((await get(`/v1/runs/${id}`)).statusCode).toBe(404);
  });

  test.each([4, 8, 14])('503 while Temporal does not answer (gRPC %i)', async (code) => {
    gateway.temporal.outage = grpcError(code, '10.0.0.7:7233: connect ECONNREFUSED');
    for (const response of [await get('/v1/runs/listen-1'), await post()]) {
      expect(response.statusCode).toBe(503);
      expect(response.json()).toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
      expect(response.body).not.toContain('10.0.0.7');
    }
  });
});
