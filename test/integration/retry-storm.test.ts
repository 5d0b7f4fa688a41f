import type { Client } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, type Pipeline, pipeline } from '../../pipelines/index.js';
import { caught } from '../support/caught.js';
import { connect, failureOf, resultOf, start } from '../support/runs.js';
import { StormyLlm } from '../support/stormy-llm.js';
import { WorkerProcess } from '../support/worker-process.js';

/**
 * Retries have one owner, the stage's policy: whatever a server answers, it is called as often as the policy has attempts.
 * Neither the client of the server, nor the pool, nor Temporal adds one.
 */
const QUEUE = 'retry-storm';
const ATTEMPTS = 4;
/** The first wait of the policy below, and what its jitter adds or takes away. */
const BACKOFF = { initialMs: 40, maxMs: 200, jitter: 0.5 };

type Options = NonNullable<Parameters<Parameters<Parameters<typeof pipeline>[2]>[0]['stage']>[3]>;

const asking = (name: string, options: Pick<Options, 'retry' | 'timeout' | 'hedge' | 'execution'>): Pipeline =>
  pipeline(name, { input: z.object({ question: z.string() }) }, ({ input, stage }) => ({
    reply: stage('answer', chat({ model: 'assistant' }), { prompt: input.question }, options).text,
  })) as Pipeline;

const retry = {
  attempts: ATTEMPTS,
  backoff: {
    initial: `${BACKOFF.initialMs}ms`,
    max: `${BACKOFF.maxMs}ms`,
    jitter: BACKOFF.jitter,
  },
} as const;
const ask = asking('ask-in-a-storm', { retry });

describe('a server that sheds load (a stand-in server)', () => {
  const llm = new StormyLlm();
  let client: Client;
  let worker: WorkerProcess;
  let question = 0;

  beforeAll(async () => {
    const url = await llm.listen();
    [client, worker] = await Promise.all([connect(), WorkerProcess.start(QUEUE, { LLM_BASE_URL: url })]);
  });
  afterAll(async () => {
    await worker.kill('SIGTERM');
    llm.close();
    await client.connection.close();
  });
  afterEach(() => {
    llm.calls.clear();
  });

  const run = (of = ask) => start(client, of, { question: `Question ${question++}?` }, QUEUE);
  const storm = async (count: number, of = ask) => {
    const runs = await Promise.all(Array.from({ length: count }, () => run(of)));
    return Promise.all(runs.map((handle) => failureOf(handle)));
  };

  /**
   * The failures of a storm in which each run made so many calls; no run may make more. An attempt that is over while
   * the worker stands still has no call: the storm is tried again.
   */
  const stormOf = (calls: number, count: number, of: Pipeline) =>
    caught('an attempt', async () => {
      llm.calls.clear();
      const failures = await storm(count, of);
      for (const each of llm.counts()) expect(each).toBeLessThanOrEqual(calls);
      return llm.counts().filter((each) => each === calls).length === count ? failures : undefined;
    });

  const codes = { 429: 'BACKEND_RATE_LIMITED', 503: 'BACKEND_OVERLOADED' };
  const cases = ([429, 503] as const).flatMap((status) =>
    [{}, { 'retry-after': '1' }, { 'retry-after': '0' }, { 'retry-after-ms': '30' }].map(
      (headers) => [status, headers as Record<string, string>] as const,
    ),
  );

  it.each(cases)('with %i and %j is called once for each attempt, by each of ten runs', async (status, headers) => {
    llm.answer = () => ({ status, headers });
    const failures = await stormOf(ATTEMPTS, 10, ask);
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set([codes[status]]));
  });

  it.each([429, 503] as const)('with %i is called as often by inline stages', async (status) => {
    llm.answer = () => ({ status });
    const failures = await stormOf(ATTEMPTS, 10, asking('ask-inline-in-a-storm', { retry, execution: 'inline' }));
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set([codes[status]]));
  });

  it.each([1, 2, 3])('for %i calls and then recovers is called once more', async (bad) => {
    llm.answer = (before) => ({ status: before < bad ? 429 : 200 });
    expect((await resultOf(await run())).stages[0]).toMatchObject({ status: 'done', attempt: bad + 1 });
    expect(llm.counts()).toEqual([bad + 1]);
  });

  it('is given the time that it asks for, and not less', async () => {
    llm.answer = () => ({ status: 503, headers: { 'retry-after': '1' } });
    await storm(1);
    for (const ms of llm.waits()) expect(ms).toBeGreaterThanOrEqual(1_000);
    expect(llm.waits()).toHaveLength(ATTEMPTS - 1);
  });

  it('is called after the policy’s backoff where it asks for nothing', async () => {
    llm.answer = () => ({ status: 503 });
    await storm(1);
    const least = [1, 2.5, 5].map((share) => Math.min(BACKOFF.initialMs * share, BACKOFF.maxMs) * (1 - BACKOFF.jitter));
    for (const [i, ms] of llm.waits().entries()) expect(ms).toBeGreaterThanOrEqual((least[i] as number) - 1);
  });

  it('is not waited for when it asks for more time than the stage has', async () => {
    llm.answer = () => ({ status: 429, headers: { 'retry-after': '600' } });
    const started = performance.now();
    const [failure] = await storm(1);
    expect(failure).toMatchObject({ code: 'BACKEND_RATE_LIMITED', stage: 'answer' });
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(llm.counts()).toEqual([1]);
  });

  it('is called once when the policy does not try its code again', async () => {
    llm.answer = () => ({ status: 429 });
    const only = asking('ask-again-if-down', { retry: { ...retry, on: ['BACKEND_UNAVAILABLE'] } });
    expect((await storm(5, only)).map(({ code }) => code)).toEqual(Array(5).fill('BACKEND_RATE_LIMITED'));
    expect(llm.counts()).toEqual(Array(5).fill(1));
  });

  it('is called no more often because its calls are hedged: a refusal in time is no delay', async () => {
    llm.answer = () => ({ status: 503 });
    await storm(10, asking('ask-hedged', { retry, hedge: { after: '10s' } }));
    expect(llm.counts()).toEqual(Array(10).fill(ATTEMPTS));
  });

  it('that never answers is called once for each attempt', async () => {
    llm.answer = () => ({ status: 0 });
    const failures = await stormOf(ATTEMPTS, 3, asking('ask-the-silent', { retry, timeout: { attempt: '1s' } }));
    expect(failures.map(({ code }) => code)).toEqual(Array(3).fill('STAGE_TIMEOUT'));
    expect(llm.counts()).toEqual(Array(3).fill(ATTEMPTS));
  });

  it('that never answers is called once when the policy does not try timeouts again', async () => {
    llm.answer = () => ({ status: 0 });
    const options = { retry: { ...retry, on: ['BACKEND_OVERLOADED'] as const }, timeout: { attempt: '2s' as const } };
    const failures = await stormOf(1, 3, asking('ask-the-silent-once', options));
    expect(failures.map(({ code }) => code)).toEqual(Array(3).fill('STAGE_TIMEOUT'));
    expect(llm.counts()).toEqual(Array(3).fill(1));
  });

  it('that is late is called twice for each attempt with a hedge, and no more', async () => {
    llm.answer = () => ({ status: 0 });
    const hedged = asking('ask-the-silent-hedged', { retry, timeout: { attempt: '1s' }, hedge: { after: '200ms' } });
    await storm(1, hedged);
    const [calls = 0] = llm.counts();
    expect(llm.counts()).toHaveLength(1);
    expect(calls).toBeLessThanOrEqual(2 * ATTEMPTS);
    // A worker that stands still for a whole attempt sends no second call in it.
    expect(calls).toBeGreaterThan(ATTEMPTS);
  });

  it('that sends nothing useful in time is called once for each attempt', async () => {
    llm.answer = () => ({ status: 0 });
    const startless = asking('ask-for-a-start', { retry, timeout: { firstChunk: '500ms' } });
    const [failure] = await stormOf(ATTEMPTS, 1, startless);
    expect(failure?.code).toBe('FIRST_CHUNK_TIMEOUT');
    expect(llm.counts()).toEqual([ATTEMPTS]);
  });
});
