import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Artifact } from '../../pipelines/index.js';
import type { Problem } from '../../pipelines/run/document.js';
import type { RunDocument } from '../../runs/document.js';
import { caught } from '../support/caught.js';
import { decideOver } from '../support/deciding.js';
import { address, CallLog, connect } from '../support/runs.js';
import { wavFile } from '../support/wav-samples.js';

/** Runs through the real gateway, Temporal and workers. */
let base: string;
beforeAll(() => {
  base = address('GATEWAY_URL');
});

type Body = NonNullable<RequestInit['body']>;
type Headers = Record<string, string>;
const json: Headers = { 'content-type': 'application/json' };
const wav = wavFile({ seconds: 1, sampleRate: 48_000, encoding: 's24', channels: 2 });

const post = (pipeline: string, body: Body, headers: Headers = {}) =>
  fetch(`${base}/v1/pipelines/${pipeline}/runs`, { method: 'POST', body, headers });
const steps = (ms: number, headers: Headers = {}) =>
  post('three-steps', JSON.stringify({ log: new CallLog().file, ms }), { ...json, ...headers });
const runOf = async (response: Response) => (await response.json()) as RunDocument;
const get = async (id: string, headers: Headers = {}) => fetch(`${base}/v1/runs/${id}`, { headers });
const ended = async (id: string): Promise<RunDocument> => {
  for (;;) {
    const run = await runOf(await get(id));
    // Where Temporal stands still there is a problem document.
    if (run.id === id && run.status !== 'running') return run;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

describe('Prefer: wait', () => {
  it('answers with the result when it comes in time', async () => {
    const response = await steps(1, { prefer: 'wait=50' });
    expect(response.status).toBe(200);
    expect(response.headers.get('preference-applied')).toBe('wait=50');
    const run = await runOf(response);
    expect(run).toMatchObject({ pipeline: 'three-steps', status: 'succeeded', output: { last: 'third' } });
    expect(run.stages?.map(({ stage, status }) => [stage, status])).toEqual([
      ['first', 'done'],
      ['second', 'done'],
      ['third', 'done'],
    ]);
    // The result may have come from the worker, ahead of Temporal.
    expect(await ended(run.id)).toEqual({ ...run, endedAt: expect.any(String) });
  });

  it('answers 202 at once without it, and the run is shown while it goes on', async () => {
    // It goes on until somebody decides.
    const { file: log } = new CallLog();
    const response = await post('gated', JSON.stringify({ log }), json);
    expect(response.status).toBe(202);
    const { id } = await runOf(response);
    expect(response.headers.get('location')).toBe(`/v1/runs/${id}`);
    expect((await runOf(await get(id))).status).toBe('running');
    expect((await decideOver(`${base}/v1/runs/${id}`, 'approve', { by: 'ada' })).status).toBe(202);
    const run = await ended(id);
    expect(run).toMatchObject({ status: 'succeeded', input: { log } });
    expect(Date.parse(run.endedAt ?? '')).toBeGreaterThan(Date.parse(run.createdAt));
  });

  it('answers 202 with the stages so far when the wait is over', async () => {
    const run = await caught('the stages of a run', async () => {
      const input = JSON.stringify({ log: new CallLog().file });
      const response = await post('gated', input, { ...json, prefer: 'wait=3' });
      expect(response.status).toBe(202);
      const seen = await runOf(response);
      // A worker that stands still when the wait is over leaves them out.
      return seen.stages === undefined ? undefined : seen;
    });
    expect(run.status).toBe('running');
    expect(run.stages).toMatchObject([
      { stage: 'sign-off', status: 'running' },
      { stage: 'first', status: 'waiting' },
    ]);
    expect((await decideOver(`${base}/v1/runs/${run.id}`, 'approve', { by: 'ada' })).status).toBe(202);
    expect((await ended(run.id)).status).toBe('succeeded');
  });

  it('answers a failed run with the status of its error and the run', async () => {
    const input = { log: new CallLog().file, failures: 9, code: 'BACKEND_REJECTED' };
    const response = await post('flaky-run', JSON.stringify(input), { ...json, prefer: 'wait=50' });
    const problem = (await response.json()) as Problem;
    expect(problem.status).toBe(response.status);
    expect(problem.run).toMatchObject({ status: 'failed', error: { code: problem.code, stage: 'flaky' } });
    expect(await ended(problem.run?.id ?? '')).toEqual({ ...problem.run, endedAt: expect.any(String) });
    expect((await get(problem.run?.id ?? '')).status).toBe(200);
  });
});

it('an Idempotency-Key stands for one run', async () => {
  const headers = { ...json, 'idempotency-key': randomUUID() };
  const body = JSON.stringify({ log: new CallLog().file, ms: 1 });
  const all = await Promise.all(Array.from({ length: 5 }, () => post('three-steps', body, headers)));
  const runs = await Promise.all(all.map(runOf));
  expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
  expect(all.filter((response) => response.headers.get('idempotency-replayed') === 'true')).toHaveLength(4);
  const later = await post('three-steps', body, { ...headers, prefer: 'wait=50' });
  expect(later.status).toBe(200);
  expect(await runOf(later)).toMatchObject({ id: runs[0]?.id, status: 'succeeded' });
});

it('a run of another tenant does not exist', async () => {
  const { id } = await runOf(await steps(1, { 'millrace-tenant': 'acme' }));
  expect((await get(id, { 'millrace-tenant': 'acme' })).status).toBe(200);
  expect((await get(id)).status).toBe(404);
});

describe('media', () => {
  it('is taken as a file, a form, base64 and by address, and is one artifact', async () => {
    const form = new FormData();
    form.set('speech', new Blob([new Uint8Array(wav)]), 'question.wav');
    const base64 = JSON.stringify({ speech: { base64: wav.toString('base64') } });
    const first = await runOf(await post('slow-assistant', new Uint8Array(wav), { 'content-type': 'audio/wav' }));
    const speech = first.input?.speech as unknown as Artifact;
    expect(speech).toMatchObject({ bytes: wav.length, durationMs: 1000, sampleRate: 48_000, channels: 2 });
    const others = [
      await post('slow-assistant', form),
      await post('slow-assistant', base64, json),
      await post('slow-assistant', JSON.stringify({ speech: { uri: speech.uri } }), json),
      await post('slow-assistant', JSON.stringify({ speech }), json),
    ];
    for (const response of others) {
      expect(response.status).toBe(202);
      expect((await runOf(response)).input?.speech).toMatchObject({ uri: speech.uri });
    }
  });

  it('of a run is served: whole, in ranges, by condition', async () => {
    const run = await runOf(await post('slow-assistant', new Uint8Array(wav), { 'content-type': 'audio/wav' }));
    const url = `${base}/v1/runs/${run.id}/artifacts/input.speech`;
    const whole = await fetch(url);
    expect(whole.headers.get('content-type')).toBe('audio/wav');
    expect(Buffer.from(await whole.arrayBuffer()).equals(wav)).toBe(true);
    const part = await fetch(url, { headers: { range: 'bytes=100-199' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 100-199/${wav.length}`]);
    expect(Buffer.from(await part.arrayBuffer()).equals(wav.subarray(100, 200))).toBe(true);
    expect((await fetch(url, { headers: { range: `bytes=${wav.length}-` } })).status).toBe(416);
    const etag = whole.headers.get('etag') ?? '';
    expect((await fetch(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
    const head = await fetch(url, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(wav.length));
  });

  it('of 20 MB leaves a history of a few kilobytes', async () => {
    const long = wavFile({ seconds: 20_000_000 / 384_000, sampleRate: 48_000, encoding: 'f32', channels: 2 });
    expect(long.length).toBeGreaterThan(19_900_000);
    const client = await connect();
    try {
      // Where the machine stands still the run has ended when it is to be terminated.
      const run = await caught('a run that goes on', async () => {
        const begun = await runOf(await post('slow-assistant', new Uint8Array(long), { 'content-type': 'audio/wav' }));
        expect(begun.input?.speech).toMatchObject({ bytes: long.length });
        const handle = client.workflow.getHandle(begun.id);
        expect((await handle.describe()).historySize).toBeLessThan(100_000);
        return await handle.terminate('the test has seen enough').then(
          () => begun,
          () => undefined,
        );
      });
      expect((await runOf(await get(run.id))).error).toMatchObject({ code: 'RUN_FAILED' });
    } finally {
      await client.connection.close();
    }
  });
});

it('a run carries its search attributes, summary and pipeline name', async () => {
  const { id, version } = await runOf(await steps(1, { 'millrace-tenant': 'acme' }));
  const client = await connect();
  try {
    const description = await client.workflow.getHandle(id).describe();
    expect(description.type).toBe('three-steps');
    expect(await description.staticSummary()).toBe(`three-steps · tenant acme · version ${version}`);
    expect(description.searchAttributes).toMatchObject({
      MillracePipeline: ['three-steps'],
      MillraceVersion: [version],
      MillraceTenant: ['acme'],
    });
  } finally {
    await client.connection.close();
  }
});

it('is alive, ready and measured', async () => {
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  // A model server that answers late, as other tests call it, is away for one report.
  const ready = async () => ((await (await fetch(`${base}/readyz`)).json()) as { status: string }).status;
  await expect.poll(ready).toBe('ready');
  const metrics = await (await fetch(`${base}/metrics`)).text();
  expect(metrics).toContain('millrace_http_request_seconds_bucket');
});
