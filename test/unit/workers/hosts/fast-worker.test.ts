import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { wholeRun } from '../../../../pipelines/run/build-segment.js';
import type { Segment, StageOutcome } from '../../../../pipelines/run/index.js';
import type { FastJobQueue, TakenJob } from '../../../../stores/jobs/index.js';
import { serveFastJobs } from '../../../../workers/hosts/fast-worker.js';
import type { Runner } from '../../../../workers/hosts/in-process-host.js';
import { contextOf } from '../../../support/in-process.js';
import { scripted } from '../../../support/scripted.js';

const one = z.object({ n: z.number() });
const wait = code('wait', { input: one, output: one }, (input) => input);
const waiting = pipeline('waiting', { input: one }, ({ input, stage }) => ({
  n: stage('only', wait, { n: input.n }, { execution: 'inline', retry: { attempts: 1 } }).n,
})) as unknown as Pipeline;

function jobOf(more: Partial<TakenJob> = {}): TakenJob {
  const segment = wholeRun({ n: 0 }, { ...contextOf(waiting), guarded: 'guard', answerTo: 'gateway' }) as Segment;
  return { id: 'waiting-1', segment, at: Date.now(), ...more };
}

/** A worker with one place and one job, whose call goes on until it is aborted; of the store, each script succeeds. */
function serving(job: TakenJob) {
  const scripts: string[] = [];
  const messages: string[] = [];
  const redis = {
    ...scripted(async (lua) => {
      scripts.push(lua);
      return lua.includes('publish') || !lua.includes("return 'held'") ? 1 : 'held';
    }),
    publish: async (channel: string, message: string) => messages.push(`${channel} ${message}`),
  } as unknown as Redis;
  const describe = async () => ({ status: { name: 'RUNNING' }, raw: {} });
  const client = {
    withDeadline: (_: number, work: () => Promise<unknown>) => work(),
    workflow: { getHandle: () => ({ describe }) },
  } as unknown as Client;
  let calls = 0;
  const runner: Runner = {
    run: (_, __, { signal }) => {
      calls += 1;
      return new Promise<StageOutcome>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
  };
  const jobs = [job];
  const queue = {
    async take() {
      const next = jobs.shift();
      if (!next) await sleep(5);
      return next;
    },
    close: () => undefined,
  } as unknown as FastJobQueue;
  const losses = { onLoss: () => () => undefined };
  const parts = { runner, redis, losses, client, logger: pino({ level: 'silent' }) };
  const worker = serveFastJobs(queue, { parts, most: 1, graceMs: 20 });
  return { worker, scripts, messages, calls: () => calls, taken: () => jobs.length === 0 };
}

it('a worker whose places are all taken ends within its grace, and hands its runs over', async () => {
  const { worker, calls } = serving(jobOf());
  await vi.waitFor(() => expect(calls()).toBe(1));
  const ended = worker.stop().then(() => 'ended');
  expect(await Promise.race([ended, sleep(10_000, 'runs on', { ref: false })])).toBe('ended');
});

it('a job that another worker may have got before is left to its guardian: nothing of it begins', async () => {
  const { worker, scripts, messages, calls, taken } = serving(jobOf({ again: true }));
  await vi.waitFor(() => expect(taken()).toBe(true));
  await worker.stop();
  expect(messages).toEqual(['gateway {"run":"waiting-1","outcome":{"done":{},"rows":[],"left":true}}']);
  expect([calls(), scripts]).toEqual([0, []]);
});
