import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../pipelines/index.js';
import { starter } from '../support/guarded-runs.js';
import { CodeRunner } from '../support/in-process.js';
import { CallLog, connect, failureOf, fixtures, LOST_SOON, resultOf, start, until } from '../support/runs.js';
import { TestWorker } from '../support/test-worker.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';

const STARTS_MS = 600_000;

/** Calls that kill the worker in which they run, and workers that end in the middle of one for another reason. */
let client: Client;
beforeAll(async () => {
  client = await connect();
});
afterAll(() => client.connection.close());

describe('a call that kills its worker', () => {
  it.concurrent.each(['inline', 'interactive', 'queued'] as const)(
    'ends its run after two of them (%s)',
    async (kind) => {
      const queue = `deadly-${randomUUID()}`;
      const log = new CallLog();
      const input = { log: log.file };
      let worker = await WorkerProcess.start(queue);
      const gateway = await starter(client, queue);
      const handle =
        kind === 'interactive'
          ? (await gateway.start(fixtures.deadlyInline, input)).handle
          : await start(
              client,
              kind === 'inline' ? fixtures.deadlyInline : fixtures.deadlyQueued,
              input,
              queue,
              ...LOST_SOON,
            );
      for (let lost = 1; lost <= 2; lost++) {
        await worker.ended();
        expect(log.count('deadly starts')).toBe(lost);
        worker = await WorkerProcess.start(queue);
      }
      const failure = await failureOf(handle);
      expect(failure).toMatchObject({ code: 'WORKER_LOST', stage: 'deadly' });
      expect(log.count('first starts')).toBe(1);
      expect(log.count('deadly starts')).toBe(2);
      await worker.kill();
      gateway.close();
    },
    // Three workers start one after another, beside those of the other kinds.
    STARTS_MS,
  );
});

it('a lost worker does not lengthen the time that a stage, or its run, has', () =>
  unlessStill(async () => {
    const queue = `lasting-${randomUUID()}`;
    let worker = await WorkerProcess.start(queue);
    try {
      const runs = [
        { fixture: fixtures.lastingStage, code: 'STAGE_TIMEOUT' },
        { fixture: fixtures.lastingRun, code: 'DEADLINE_EXCEEDED' },
      ].map((run) => {
        const log = new CallLog();
        return { ...run, log, started: start(client, run.fixture, { log: log.file }, queue, ...LOST_SOON) };
      });
      await until('both stages run', () => runs.every(({ log }) => log.count('first starts') > 0));
      // Longer than a workflow task lasts: the history then tells of the segment.
      await sleep(5_000);
      await worker.kill();
      worker = await WorkerProcess.start(queue);
      const takenOver = Date.now();
      for (const { started, code } of runs) {
        const handle = await started;
        expect(await failureOf(handle)).toMatchObject({ code, stage: 'first' });
        const { startTime, closeTime } = await handle.describe();
        const closed = closeTime?.getTime() ?? Number.NaN;
        expect((closed - startTime.getTime()) / 1_000, code).toBeGreaterThan(12);
        // Not 15 s more from when the other worker took over; that one may have started late.
        expect((closed - takenOver) / 1_000, code).toBeLessThan(13);
      }
    } finally {
      await worker.kill();
    }
  }));

describe('a worker that is asked to end', () => {
  const one = z.object({ n: z.number() });
  /** Longer than a worker takes to end; the last one lets it be over. */
  let slowMs = 20_000;
  const slow = code('slow', { input: one, output: one }, async ({ n }, { signal }) => {
    await sleep(slowMs, undefined, { signal });
    return { n };
  });
  const of = (execution: 'inline' | 'queued') =>
    pipeline(`deployed-${execution}`, { input: one }, ({ input, stage }) => ({
      n: stage('slow', slow, { n: input.n }, { execution }).n,
    })) as unknown as Pipeline;

  it.each(['inline', 'queued'] as const)(
    'is not lost in its calls, however often that happens (%s)',
    async (execution) => {
      const queue = `deployed-${randomUUID()}`;
      const steps = of(execution);
      const runner = new CodeRunner(steps);
      slowMs = 20_000;
      const handle = await start(client, steps, { n: 1 }, queue);
      for (let begun = 1; begun <= 3; begun++) {
        const calls = () => runner.events.filter((event) => event === 'slow starts').length;
        const before = calls();
        const worker = await TestWorker.start({ queue, runner });
        await until(`the call runs for the ${begun}. time`, () => calls() > before);
        await worker.stop();
      }
      slowMs = 100;
      const last = await TestWorker.start({ queue, runner });
      expect((await resultOf(handle)).output).toEqual({ n: 1 });
      await last.stop();
    },
  );
});
