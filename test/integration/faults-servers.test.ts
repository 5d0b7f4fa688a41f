import { readdirSync, readFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { NODE_PARTS, type PartName, SERVER_PARTS, status, up } from '../../deploy/local/stack/index.js';
import { audio, type Pipeline, pipeline, transcribe } from '../../pipelines/index.js';
import type { StageRecord } from '../../pipelines/run/index.js';
import { caught } from '../support/caught.js';
import { freePort } from '../support/free-port.js';
import { ownRedis } from '../support/own-redis.js';
import { address, connect, failureOf, fixtures, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { openSpeech, type Speech } from '../support/speech.js';
import { inferences, modelReady } from '../support/triton.js';
import { WorkerProcess } from '../support/worker-process.js';

const settings = testSettings();
const QUEUE = settings.MILLRACE_TASK_QUEUE;
/** Apart from other tests' cached answers. */
const TENANT = 'faults';
const part = (name: PartName) => {
  const found = status(settings).parts.find((each) => each.name === name);
  if (found?.pid === undefined) throw new Error(`${name} does not run`);
  return { pid: found.pid, restarts: found.restarts };
};
const kill = (pid: number) => process.kill(pid, 'SIGKILL');
const allUp = () => up({ settings, parts: [...SERVER_PARTS, ...NODE_PARTS] });
/** The process of Triton's Python backend that serves a model. */
function stubOf(model: string): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (
        command.includes('triton_python_backend_stub') &&
        command.includes(`/${model}/1/model.py`) &&
        isOurs(Number(pid))
      )
        return Number(pid);
    } catch {
      // the process has ended meanwhile
    }
  }
  throw new Error(`no stub of ${model}`);
}

/** Whether a process descends from the Triton of these tests. */
function isOurs(pid: number): boolean {
  for (let each = pid; each > 1; ) {
    if (each === part('triton').pid) return true;
    each = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0);
  }
  return false;
}

/** Whether the stack's worker has a call of the model under way. */
async function isCalled(model: string): Promise<boolean> {
  const metrics = await fetch(`http://127.0.0.1:${settings.MILLRACE_WORKER_METRICS_PORT}/metrics`);
  return new RegExp(`^millrace_pool_outstanding\\{model="${model}".*\\} [1-9]`, 'm').test(await metrics.text());
}

const hearing: Pipeline = pipeline('hearing', { input: z.object({ speech: audio() }) }, ({ input, stage }) => ({
  text: stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech }).text,
})) as Pipeline;

describe('a server killed with SIGKILL', () => {
  let client: Client;
  let speech: Speech;
  beforeAll(async () => {
    [client, speech] = await Promise.all([connect(), openSpeech(TENANT)]);
  });
  afterAll(async () => {
    await allUp();
    speech.close();
    await client.connection.close();
  });
  type Run = Awaited<ReturnType<typeof start>>;
  const rows = (handle: Pick<Run, 'query'>) => handle.query<readonly StageRecord[]>('stages');

  it('Triton, during transcribe: it is restarted and the run completes without repeating what had ended', async () => {
    const spoken = await speech.speak(
      Array.from({ length: 6 }, () => 'This sentence makes the recording long enough to be interrupted.').join(' '),
    );
    const { before, run } = await caught('transcribe', async () => {
      const before = part('triton');
      const run = await start(client, fixtures.voiceAssistant, { speech: { ...spoken } }, QUEUE, TENANT);
      const over = async () => (await rows(run))[0]?.status === 'done';
      await until('whisper is called', async () => (await isCalled('whisper')) || (await over()));
      kill(before.pid);
      if (!(await over())) return { before, run };
      await resultOf(run);
      await allUp();
      return undefined;
    });
    const { stages } = await resultOf(run);
    expect(stages.map(({ stage, status }) => [stage, status])).toEqual([
      ['transcribe', 'done'],
      ['answer', 'done'],
      ['speak', 'done'],
    ]);
    // Now and then Triton aborts while it starts, and is started once more.
    expect(part('triton').restarts).toBeGreaterThan(before.restarts);
    // A new Triton counts from nothing: the repeated stage once, the one after it once.
    expect(await inferences('whisper')).toBe(1);
    // A small call may come before it: a server that is back shows that it is ready.
    expect([1, 2]).toContain(await inferences('tts'));
    await allUp();
  });

  it('Triton, after transcribe: its own statistics show that the finished stage is not run again', async () => {
    const spoken = await speech.speak('How many legs does a spider have?');
    const run = await caught('the pause behind transcribe', async () => {
      const run = await start(client, fixtures.slowAssistant, { speech: { ...spoken } }, QUEUE, TENANT);
      await until('transcribe has ended', async () => (await rows(run))[0]?.status === 'done');
      kill(part('triton').pid);
      if ((await rows(run))[1]?.status !== 'done') return run;
      await resultOf(run);
      await allUp();
      return undefined;
    });
    const { stages } = await resultOf(run);
    expect(stages.find(({ stage }) => stage === 'speak')?.status).toBe('done');
    // A new Triton counts from nothing.
    expect(await inferences('whisper')).toBe(0);
    // A small call may come before it, as above.
    expect([1, 2]).toContain(await inferences('tts'));
    await allUp();
  });

  it('a model’s Python stub: ready but failing, found by canary without traffic and healed', async () => {
    const worker = await WorkerProcess.start('canary', { MILLRACE_CANARY_INTERVAL_MS: '1000' });
    const heals = () => worker.metric('millrace_heals_total', 'model="tts"');
    // It must not heal the model before the look.
    worker.stall();
    kill(stubOf('tts'));
    expect(await modelReady('tts')).toBe(true);
    worker.resume();
    await until('the model is healed', async () => (await heals()) > 0);
    // A repair that takes too long is counted as failed, and another follows.
    const healed = () => worker.metric('millrace_heals_total', 'outcome="ok"');
    await expect.poll(healed, { timeout: 90_000 }).toBeGreaterThanOrEqual(1);
    await worker.kill('SIGTERM');
    await expect(speech.speak('It speaks again.')).resolves.toMatchObject({ mime: 'audio/wav' });
  });

  it('a model’s Python stub, in a run: the run heals it and completes', async () => {
    const spoken = await speech.speak('What colour is the sky?');
    kill(stubOf('whisper'));
    const run = await start(client, fixtures.voiceAssistant, { speech: { ...spoken } }, QUEUE, TENANT);
    expect((await resultOf(run)).stages.every(({ status }) => status === 'done')).toBe(true);
  });

  it('Triton, under ten runs of the default policy: every one completes', async () => {
    const sentence = 'This sentence makes the recording long enough to be interrupted.';
    const spoken = await speech.speak(Array.from({ length: 2 }, () => sentence).join(' '));
    const before = part('triton');
    const runs = await Promise.all(
      Array.from({ length: 10 }, () => start(client, hearing, { speech: { ...spoken } }, QUEUE, TENANT)),
    );
    await until('whisper is called', () => isCalled('whisper'));
    kill(before.pid);
    const results = await Promise.all(runs.map(resultOf));
    expect(results.flatMap(({ stages }) => stages.map(({ status }) => status))).toEqual(Array(10).fill('done'));
    expect(part('triton').restarts).toBeGreaterThan(before.restarts);
    await allUp();
  });

  it('the LLM server: a run waits for the restart, however long it takes', async () => {
    const before = part('llm');
    kill(before.pid);
    const run = await start(client, fixtures.ask, { question: 'What is water?' }, QUEUE);
    const { stages } = await resultOf(run);
    expect(stages[0]).toMatchObject({ stage: 'answer', status: 'done' });
    expect(part('llm').restarts).toBeGreaterThan(before.restarts);
    await allUp();
  });

  // The last two have workers and servers of their own and wait at the same time.
  it.concurrent('the LLM server: a run whose time ends before it is back fails with a stable code', async () => {
    // A restart may take less than a second: this server never comes back.
    const queue = 'llm-away';
    const worker = await WorkerProcess.start(queue, { LLM_BASE_URL: `http://127.0.0.1:${await freePort()}/v1` });
    const run = await start(client, fixtures.askBriefly, { question: 'What is water?' }, queue);
    expect(await failureOf(run)).toMatchObject({ code: 'BACKEND_UNAVAILABLE', stage: 'answer' });
    await worker.kill('SIGTERM');
  });

  it.concurrent('the Redis of the cache: runs complete past the cache, and hits return when it is back', async () => {
    const queue = 'redis-killed';
    const redis = await ownRedis(address('REDIS_CACHE_URL'));
    await redis.start();
    const worker = await WorkerProcess.start(queue, { REDIS_CACHE_URL: redis.url });
    const ask = async () => {
      const run = await start(
        client,
        fixtures.askCached,
        { question: 'At what temperature does water boil?' },
        queue,
        TENANT,
      );
      return (await resultOf(run)).stages[0]?.cache;
    };
    // One whose embedder answers late is passed by too.
    const asked = () =>
      caught('the cache', async () => {
        const cache = await ask();
        return cache === 'bypass' ? undefined : cache;
      });
    expect(await asked()).toBe('miss');
    expect(await asked()).toBe('hit');
    await redis.kill();
    expect(await ask()).toBe('bypass');
    await redis.start();
    await until('answers are kept again', async () => (await ask()) === 'hit');
    await worker.kill('SIGTERM');
    await redis.kill();
  });
});
