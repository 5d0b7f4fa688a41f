import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Client } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, failureOf, fixtures, resultOf, start } from '../support/runs.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';

const QUEUE = 'policies';

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers chat completions as told, since a real server cannot be made to; keeps the time of each call. */
class FaultyLlm {
  readonly calls: number[] = [];
  answer: (call: number) => Answer = () => ({ status: 200 });
  readonly #server: Server = createServer((request, response) => {
    request.resume();
    if (!request.url?.endsWith('/chat/completions')) {
      response.writeHead(404).end('{}');
      return;
    }
    this.calls.push(performance.now());
    const { status, headers = {} } = this.answer(this.calls.length);
    const message = { role: 'assistant', content: 'Yes.' };
    const body =
      status === 200 ? { choices: [{ index: 0, message, finish_reason: 'stop' }] } : { error: { message: 'busy' } };
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe('a stage’s policy', () => {
  const llm = new FaultyLlm();
  let client: Client;
  let worker: WorkerProcess;
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
    llm.calls.length = 0;
  });
  const ask = () => start(client, fixtures.ask, { question: 'Is it?' }, QUEUE);

  it.each([503, 429, 500])(
    'of three attempts makes three calls of a server that only answers %i (a stand-in server)',
    // A worker that stands still for longer than its heartbeats may make a call again.
    (status) =>
      unlessStill(async () => {
        llm.calls.length = 0;
        llm.answer = () => ({ status });
        const { code, stage } = await failureOf(await ask());
        expect({ code, stage }).toEqual({
          code: { 500: 'BACKEND_ERROR', 429: 'BACKEND_RATE_LIMITED', 503: 'BACKEND_OVERLOADED' }[status],
          stage: 'answer',
        });
        expect(llm.calls).toHaveLength(3);
      }),
  );

  it('makes one call of a server that rejects the request (a stand-in server)', async () => {
    llm.answer = () => ({ status: 400 });
    expect((await failureOf(await ask())).code).toBe('BACKEND_REJECTED');
    expect(llm.calls).toHaveLength(1);
  });

  it('waits as long as the server asks with retry-after (a stand-in server)', async () => {
    llm.answer = (call) => (call === 1 ? { status: 429, headers: { 'retry-after': '2' } } : { status: 200 });
    expect((await resultOf(await ask())).stages[0]).toMatchObject({ status: 'done', attempt: 2 });
    const [first = 0, second = 0] = llm.calls;
    expect(second - first).toBeGreaterThanOrEqual(2_000);
  });

  it('reaches Temporal as it stands in the plan', async () => {
    llm.answer = () => ({ status: 200 });
    const run = await ask();
    await resultOf(run);
    const { events } = await run.fetchHistory();
    const scheduled = (events ?? []).find(
      (event) => event.activityTaskScheduledEventAttributes,
    )?.activityTaskScheduledEventAttributes;
    const seconds = (duration: { seconds?: unknown } | null | undefined) => Number(duration?.seconds ?? 0);
    expect(seconds(scheduled?.startToCloseTimeout)).toBe(60);
    // The run's deadline is as long, and counts from its start.
    const left = seconds(scheduled?.scheduleToCloseTimeout);
    expect(left).toBeLessThanOrEqual(300);
    expect(left).toBeGreaterThan(240);
    expect(seconds(scheduled?.heartbeatTimeout)).toBe(5);
    expect(scheduled?.retryPolicy).toMatchObject({
      // The activity counts its calls: waiting for a server that is away is none of them.
      maximumAttempts: 0,
      backoffCoefficient: 2.5,
      initialInterval: { nanos: 20_000_000 },
    });
  });
});
