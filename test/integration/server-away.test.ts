import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { StageRecord } from '../../pipelines/run/index.js';
import { withWaits } from '../../runs/waiting-for.js';
import { freePort } from '../support/free-port.js';
import { address, connect, resultOf, start } from '../support/runs.js';
import { StormyLlm } from '../support/stormy-llm.js';
import { WorkerProcess } from '../support/worker-process.js';

type Options = NonNullable<Parameters<Parameters<Parameters<typeof pipeline>[2]>[0]['stage']>[3]>;
const asking = (name: string, options: Pick<Options, 'retry' | 'execution'> = {}): Pipeline =>
  pipeline(name, { input: z.object({ question: z.string() }) }, ({ input, stage }) => ({
    reply: stage('answer', chat({ model: 'assistant', maxTokens: 4 }), { prompt: input.question }, options).text,
  })) as Pipeline;

/** Longer than all the waits of the default policy together. */
const AWAY_MS = 20_000;

// The second one runs while the first one waits.
describe.concurrent('a model server that is away', () => {
  let client: Client;
  let worker: WorkerProcess;
  let port: number;
  const llm = new StormyLlm();
  const QUEUE = 'server-away';

  beforeAll(async () => {
    port = await freePort();
    const url = `http://127.0.0.1:${port}/v1`;
    [client, worker] = await Promise.all([connect(), WorkerProcess.start(QUEUE, { LLM_BASE_URL: url })]);
  });
  afterAll(async () => {
    await worker.kill('SIGTERM');
    llm.close();
    await client.connection.close();
  });

  it('costs no run, no call and no slot: ten wait for it 20 s, say so, and go on within seconds', async ({
    expect,
  }) => {
    const kinds = [asking('waits-queued'), asking('waits-inline', { execution: 'inline' })];
    const once = asking('waits-once', { retry: { attempts: 1 } });
    const all = [...Array.from({ length: 8 }, (_, i) => kinds[i % 2] as Pipeline), once, once];
    const runs = await Promise.all(all.map((of, i) => start(client, of, { question: `Question ${i}?` }, QUEUE)));
    await sleep(AWAY_MS / 2);
    for (const run of runs) {
      // Polled by the test's own `expect`: the one in common does not know which of the concurrent tests it serves.
      const shown = async () =>
        await withWaits(client, await run.describe(), await run.query<readonly StageRecord[]>('stages'));
      await expect.poll(shown).toMatchObject([{ stage: 'answer', status: 'running', doing: 'waiting for assistant' }]);
      expect((await run.describe()).status.name).toBe('RUNNING');
    }
    const [pending] = (await runs[0]?.describe())?.raw.pendingActivities ?? [];
    expect(pending?.lastFailure?.message).toMatch(/^waiting for assistant: .*ECONNREFUSED/);
    await sleep(AWAY_MS / 2);
    await llm.listen(port);
    const back = performance.now();
    const results = await Promise.all(runs.map(resultOf));
    expect(performance.now() - back).toBeLessThan(30_000);
    expect(results.map(({ stages }) => stages[0]?.attempt)).toEqual(Array(10).fill(1));
    expect(llm.counts()).toEqual(Array(10).fill(1));
  });
});

describe.concurrent('one replica of two that fails at once', () => {
  let client: Client;
  let worker: WorkerProcess;
  const broken = new StormyLlm();
  const QUEUE = 'broken-replica';

  beforeAll(async () => {
    broken.answer = () => ({ status: 500 });
    const endpoints = [await broken.listen(), address('LLM_BASE_URL')].map((url, i) => ({ url, device: `cpu${i}` }));
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-replicas-')), 'models.json');
    writeFileSync(
      file,
      JSON.stringify({ assistant: { connector: 'openai', model: 'assistant', kind: 'chat', endpoints } }),
    );
    [client, worker] = await Promise.all([connect(), WorkerProcess.start(QUEUE, { MILLRACE_MODELS: file })]);
  });
  afterAll(async () => {
    await worker.kill('SIGTERM');
    broken.close();
    await client.connection.close();
  });

  it('is taken out of its pool, and costs no run', async () => {
    const once = asking('two-replicas', { retry: { attempts: 2 } });
    let started = 0;
    // How soon it is called three times, from which it is judged, depends on how fast the other one answers.
    for (let round = 0; round < 60; round++) {
      if (round >= 12 && (await worker.metric('millrace_ejections_total')) >= 1) break;
      const runs = await Promise.all(
        Array.from({ length: 4 }, (_, i) => start(client, once, { question: `${round}.${i}` }, QUEUE)),
      );
      started += runs.length;
      const results = await Promise.all(runs.map(resultOf));
      expect(results.every(({ stages }) => stages[0]?.status === 'done')).toBe(true);
    }
    expect(await worker.metric('millrace_ejections_total')).toBeGreaterThanOrEqual(1);
    const calls = broken.counts().reduce((sum, count) => sum + count, 0);
    // Before, the one with the fewest calls in flight got nearly all.
    expect(calls).toBeLessThan(started / 3);
  });
});
