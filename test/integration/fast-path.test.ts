import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, embed, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { RunDocument } from '../../runs/document.js';
import { CallLog, connect, fixtures, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { LATE_ONCE } from '../support/soonest.js';

/** Runs that go past Temporal, on real servers: what their callers see, and what Temporal has of them. */
const inline = { execution: 'inline', retry: { attempts: 2 } } as const;

const ask = pipeline('ask-fast', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
  const options = { model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 48 };
  const answer = stage('answer', chat(options), { prompt: input.question }, inline);
  return {
    reply: answer.text,
    vector: stage('embed', embed({ model: 'minilm' }), { text: answer.text }, inline).embedding,
  };
});

const question = 'What is the capital of France?';
const fast = 'ask-fast?priority=interactive';
const json = { 'content-type': 'application/json' };

let client: Client;
beforeAll(async () => {
  client = await connect();
});
afterAll(() => client.connection.close());

/** The run as Temporal has it when it has ended. */
async function recorded(served: ServedPipelines, id: string): Promise<RunDocument> {
  let run = await served.get(id);
  await until('Temporal has recorded the end', async () => {
    run = await served.get(id);
    // Where Temporal stands still there is a problem document.
    return run.id === id && run.status !== 'running';
  });
  return run;
}

/** What Temporal's history has of a run. */
async function history(id: string) {
  const { events = [] } = await client.workflow.getHandle(id).fetchHistory();
  return {
    markers: events?.filter((event) => event.markerRecordedEventAttributes).length,
    activities: events?.filter((event) => event.activityTaskScheduledEventAttributes).length,
    signals: events?.filter((event) => event.workflowExecutionSignaledEventAttributes).length,
  };
}

/**
 * Repeats a run until one went past Temporal to its end: on a loaded machine a worker may not take a job in time, or a call
 * take longer than the guardian's delay, and the guardian then takes part, which is as right.
 */
async function wentPast<T>(run: () => Promise<{ id: string; value: T }>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const { id, value } = await run();
    const seen = await history(id);
    if (seen.markers === 0 || attempt === ATTEMPTS) {
      expect(seen).toEqual({ markers: 0, activities: 0, signals: 1 });
      return value;
    }
  }
}
const ATTEMPTS = 5;

describe('an interactive run of one segment', () => {
  let served: ServedPipelines;
  beforeAll(async () => {
    const more = { MILLRACE_PIPELINES: 'test/fixtures/pipelines.mjs' };
    served = await servePipelines([ask, fixtures.relayInline, fixtures.relayEach] as unknown as Pipeline<never>[], {
      fast: true,
      more,
    });
  });
  afterAll(() => served.close());

  it('is answered by its fast host, and Temporal has the same result without running anything', LATE_ONCE, async () => {
    const { early, tookMs } = await wentPast(async () => {
      const answered = await served.run(fast, { question });
      expect(answered.output).toMatchObject({ reply: expect.stringContaining('Paris') });
      const began = Date.now();
      const { status, output, stages } = await recorded(served, answered.id);
      expect({ status, output, stages }).toEqual({
        status: 'succeeded',
        output: answered.output,
        stages: answered.stages,
      });
      const { id } = answered;
      return { id, value: { early: served.early.includes(id), tookMs: Date.now() - began } };
    });
    expect(early).toBe(true);
    // Long before the guardian's delay.
    expect(tookMs).toBeLessThan(2_000);
  });

  it('gives the fields that were asked for, and the same table as Temporal', async () => {
    await wentPast(async () => {
      const answered = await served.run(`${fast}&outputs=reply`, { question });
      expect(Object.keys(answered.output ?? {})).toEqual(['reply']);
      const { output, stages } = await recorded(served, answered.id);
      expect({ output: answered.output, stages: answered.stages }).toEqual({ output, stages });
      expect(stages?.map(({ stage, status }) => [stage, status])).toEqual([
        ['answer', 'done'],
        ['embed', 'skipped'],
      ]);
      return { id: answered.id, value: undefined };
    });
  });

  it('is one run under one idempotency key', async () => {
    await wentPast(async () => {
      const headers = { 'idempotency-key': randomUUID() };
      const runs = await Promise.all([1, 2].map(() => served.run(fast, { question }, headers)));
      const [one, two] = runs as [RunDocument, RunDocument];
      expect(one.id).toBe(two.id);
      expect(one.output).toEqual(two.output);
      await recorded(served, one.id);
      const again = await served.run(fast, { question }, headers);
      expect(again).toMatchObject({ id: one.id, status: 'succeeded', output: one.output });
      return { id: one.id, value: undefined };
    });
  });

  it('fails with its code, in Temporal too', async () => {
    await wentPast(async () => {
      const body = JSON.stringify({ question: 'Why? '.repeat(9_000) });
      const response = await served.post(fast, body, { ...json, prefer: 'wait=60' });
      expect(response.status).toBe(400);
      const { code, run } = (await response.json()) as { code: string; run: RunDocument };
      expect(code).toBe('CONTEXT_TOO_LONG');
      await recorded(served, run.id);
      return { id: run.id, value: undefined };
    });
  });

  it('runs an each entry by entry', LATE_ONCE, async () => {
    await wentPast(async () => {
      const log = new CallLog();
      const answered = await served.run('relay-each?priority=interactive', { log: log.file, n: 4, ms: 200 });
      expect(answered.output).toEqual({ items: [0, 1, 2, 3], squared: [0, 1, 4, 9], sum: 14 });
      const lines = log.lines();
      expect(lines.indexOf('total 0')).toBeLessThan(lines.indexOf('ticks 3'));
      await recorded(served, answered.id);
      return { id: answered.id, value: undefined };
    });
  });

  it('streams between functions', LATE_ONCE, async () => {
    await wentPast(async () => {
      const log = new CallLog();
      const answered = await served.run('relay-inline?priority=interactive', { log: log.file, n: 4, ms: 200 });
      expect(answered.output).toEqual({ items: [0, 1, 2, 3], doubled: [0, 2, 4, 6], sum: 12 });
      // What is yielded is read while the function goes on.
      expect(log.lines().indexOf('total 0')).toBeLessThan(log.lines().indexOf('ticks 3'));
      await recorded(served, answered.id);
      return { id: answered.id, value: undefined };
    });
  });

  it('tells its events as they come', async () => {
    const response = await served.post(fast, JSON.stringify({ question }), { ...json, accept: 'text/event-stream' });
    const events = await response.text();
    expect(events).toContain('stage.delta');
    expect(events).toMatch(/"status":"succeeded"/);
  });
});
