import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { StageRunner } from '../../activities/stage/stage-runner.js';
import { MillraceError } from '../../pipelines/errors.js';
import { code, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { isStage } from '../../pipelines/plan/index.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { contextOf } from '../support/in-process.js';
import { connect, failureOf, resultOf } from '../support/runs.js';
import { TestWorker } from '../support/test-worker.js';

const QUEUE = `recorded-${randomUUID()}`;
/** Nobody polls it after the worker that is lost. */
const DOOMED = `${QUEUE}.doomed`;
const outcome: StageOutcome = {
  ...{ output: { paid: true }, endpoint: 'worker', device: '', attempt: 1, queueMs: 0, runMs: 5 },
  cache: 'off',
};
const paid = z.object({ paid: z.boolean() });
const pay = code('pay', { input: z.object({ n: z.number() }), output: paid }, () => ({ paid: true }));
const once = { retry: { attempts: 1 }, timeout: { total: '60s' } } as const;
const payment = pipeline('payment-recorded', { input: z.object({ n: z.number() }) }, ({ input, stage }) => ({
  paid: stage('pay', pay, { n: input.n }, once).paid,
})) as unknown as Pipeline;

/** Four at once. */
const payments = pipeline('payments-recorded', { input: z.object({ n: z.number() }) }, ({ input, stage }) => ({
  paid: ['a', 'b', 'c', 'd'].map((id) => stage(id, pay, { n: input.n }, once).paid),
})) as unknown as Pipeline;

let client: Client;
let worker: TestWorker;
/** Of the record, as the last attempt has left it. */
let recorded: StageOutcome | MillraceError | undefined;
const asked: unknown[] = [];
beforeAll(async () => {
  const runner: Pick<StageRunner, 'run' | 'earlier'> = {
    run: () => Promise.reject(new Error('the call is made again')),
    async earlier<T>(input: JsonObject, { stage }: StageCall, _run: string, _since: number, unread?: T) {
      asked.push([stage, input]);
      if (recorded === undefined) return undefined;
      // As of a record that has its address only.
      if (unread !== undefined && recorded !== outcome) return unread;
      if (recorded instanceof MillraceError) throw recorded;
      return recorded;
    },
  };
  [client, worker] = await Promise.all([connect(), TestWorker.start({ queue: QUEUE, runner })]);
});
afterAll(async () => {
  await worker.stop();
  await client.connection.close();
});

/** A run whose stages are given to a worker that is never heard of again. */
async function lostRun(of = payment) {
  const given = contextOf(of, QUEUE);
  // As a run waits for a version of a function.
  const stages = given.plan.stages.map((step) =>
    isStage(step) ? { ...step, policy: { ...step.policy, timeout: { ...step.policy.timeout, queueMs: 8_000 } } } : step,
  );
  const context = { ...given, plan: { ...given.plan, stages } };
  const placement = Object.fromEntries(
    Object.entries(context.placement).map(([id, row]) => [id, { ...row, queue: DOOMED }]),
  );
  const handle = await client.workflow.start(of.name, {
    taskQueue: QUEUE,
    workflowId: `${of.name}-${randomUUID()}`,
    args: [{ n: 1 }, { ...context, placement }],
  });
  for (const _ of stages) {
    const { activityId } = await client.withDeadline(Date.now() + 30_000, () =>
      client.workflowService.pollActivityTaskQueue({
        namespace: 'default',
        taskQueue: { name: DOOMED },
        identity: 'lost',
      }),
    );
    expect(activityId).toBeTruthy();
  }
  return handle;
}

describe('a call that may be made once, whose worker is lost, and for which there is no other one,', () => {
  it('has the outcome that its attempt has recorded', async () => {
    recorded = outcome;
    expect((await resultOf(await lostRun())).output).toEqual({ paid: true });
    expect(asked).toEqual([['pay', { n: 1 }]]);
  });

  it('has one of any size, also where several are together more than a message to Temporal', async () => {
    recorded = { ...outcome, output: { paid: true, receipt: 'x'.repeat(1_400_000) } };
    expect((await resultOf(await lostRun(payments))).output).toEqual({ paid: [true, true, true, true] });
  });

  it('fails where its outcome is lost: nobody knows what it was, and nothing may make it again', async () => {
    recorded = new MillraceError('RECORD_GONE', 'no longer exists', { recorded: true });
    expect(await failureOf(await lostRun())).toMatchObject({ code: 'RECORD_GONE', stage: 'pay' });
  });

  it('fails where it has recorded none', async () => {
    recorded = undefined;
    expect(await failureOf(await lostRun())).toMatchObject({ code: 'QUEUE_TIMEOUT', stage: 'pay' });
  });
});
