import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StageRecord } from '../../pipelines/run/index.js';
import { decideAt, decideOn, waitOf } from '../support/deciding.js';
import { CallLog, connect, failureOf, fixtures, resultOf, start, until } from '../support/runs.js';
import { LATE_ONCE } from '../support/soonest.js';
import { WorkerProcess } from '../support/worker-process.js';

const QUEUE = 'temporal-host';

describe('the interpreter in a Temporal workflow', () => {
  let client: Client;
  let worker: WorkerProcess;

  beforeAll(async () => {
    [client, worker] = await Promise.all([connect(), WorkerProcess.start(QUEUE)]);
  });
  afterAll(async () => {
    await worker.kill('SIGTERM');
    await client.connection.close();
  });

  it('runs a plan with workflow and activities named by the author, and summaries that say where', async () => {
    const log = new CallLog();
    const handle = await start(client, fixtures.threeSteps, { log: log.file, ms: 1 }, QUEUE);
    const { output, stages } = await resultOf(handle);
    expect(output).toEqual({ last: 'third' });
    expect(stages.map(({ stage, status, attempt, cache }) => ({ stage, status, attempt, cache }))).toEqual(
      ['first', 'second', 'third'].map((stage) => ({ stage, status: 'done', attempt: 1, cache: 'off' })),
    );
    expect(log.lines()).toEqual(['first', 'second', 'third'].flatMap((name) => [`${name} starts`, `${name} ends`]));

    const description = await handle.describe();
    expect(description.type).toBe('three-steps');
    const { events } = await handle.fetchHistory();
    const scheduled = (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes);
    expect(scheduled.map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name)).toEqual([
      'first',
      'second',
      'third',
    ]);
    expect(Buffer.from(scheduled[0]?.userMetadata?.summary?.data ?? []).toString()).toBe('"code · first @worker"');
    expect(await handle.query<StageRecord[]>('stages')).toHaveLength(3);
  });

  it('runs inline stages as one segment, a local activity', async () => {
    const log = new CallLog();
    const handle = await start(client, fixtures.threeInlineSteps, { log: log.file, ms: 1 }, QUEUE);
    expect((await resultOf(handle)).output).toEqual({ last: 'third' });
    const { events } = await handle.fetchHistory();
    expect((events ?? []).filter((event) => event.activityTaskScheduledEventAttributes)).toHaveLength(0);
    expect((events ?? []).filter((event) => event.markerRecordedEventAttributes)).toHaveLength(1);
  });

  it('calls a failing stage as often as its policy says, then fails with its code', async () => {
    const log = new CallLog();
    const handle = await start(
      client,
      fixtures.flakyRun,
      { log: log.file, failures: 9, code: 'BACKEND_UNAVAILABLE' },
      QUEUE,
    );
    const failure = await failureOf(handle);
    expect(failure).toMatchObject({ code: 'BACKEND_UNAVAILABLE', stage: 'flaky', message: 'stage "flaky": failure 3' });
    expect(failure.headline).toBe('failure 3 (BACKEND_UNAVAILABLE, stage "flaky")');
    expect(failure.stages).toMatchObject([
      { stage: 'flaky', status: 'failed', error: { code: 'BACKEND_UNAVAILABLE' } },
    ]);
    expect(log.count('call')).toBe(3);
  });

  it('goes on when a retry succeeds, and never retries what cannot succeed', async () => {
    const log = new CallLog();
    const retried = await start(
      client,
      fixtures.flakyRun,
      { log: log.file, failures: 2, code: 'BACKEND_UNAVAILABLE' },
      QUEUE,
    );
    expect(await resultOf(retried)).toMatchObject({ output: { calls: 3 }, stages: [{ attempt: 3 }] });
    const refused = new CallLog();
    const failed = await start(
      client,
      fixtures.flakyRun,
      { log: refused.file, failures: 2, code: 'BACKEND_REJECTED' },
      QUEUE,
    );
    expect((await failureOf(failed)).code).toBe('BACKEND_REJECTED');
    expect(refused.count('call')).toBe(1);
  });

  it('waits for a person and shows what it waits for', async () => {
    const log = new CallLog();
    const handle = await start(client, fixtures.gated, { log: log.file }, QUEUE);
    const { nonce } = await waitOf(handle, 'sign-off');
    await decideOn(handle, { nonce, approved: true, by: 'ada' });
    expect((await resultOf(handle)).output).toEqual({ approved: true, by: 'ada', last: 'first' });
  });

  it('finishes a run on the plan that it started with when the pipeline has changed', async () => {
    const log = new CallLog();
    // The plan of an earlier release of `gated`: its step had another name in the output.
    const { plan } = fixtures.gated;
    const earlier = {
      ...fixtures.gated,
      plan: {
        ...plan,
        version: 'earlier',
        output: { signedBy: { $ref: 'sign-off.by' }, step: { $ref: 'first.name' } },
      },
    };
    const handle = await start(client, earlier, { log: log.file }, QUEUE);
    await until('the run waits', async () => (await handle.query<StageRecord[]>('stages'))[0]?.status === 'running');
    // A new deployment: the worker is replaced while the run waits.
    await worker.kill('SIGTERM');
    worker = await WorkerProcess.start(QUEUE);
    const newer = await start(client, fixtures.gated, { log: log.file }, QUEUE);
    for (const run of [handle, newer]) await decideAt(run, 'sign-off', { approved: true, by: 'ada' });
    expect((await resultOf(handle)).output).toEqual({ signedBy: 'ada', step: 'first' });
    expect((await resultOf(newer)).output).toEqual({ approved: true, by: 'ada', last: 'first' });
  });

  it('ends a run that is cancelled and aborts its stage', LATE_ONCE, async () => {
    const log = new CallLog();
    const handle = await start(client, fixtures.threeSteps, { log: log.file, ms: 20_000 }, QUEUE);
    await until('the first stage runs', () => log.count('first starts') === 1);
    const aborted = () => worker.metric('millrace_stage_seconds_count', 'outcome="aborted"');
    const before = await aborted();
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
    await until(
      'the stage is aborted',
      async () => (await aborted()) > before,
      // A beat of a second carries the cancellation; Temporal's own throttle would make it four.
      2_500,
    );
    expect(log.lines()).toEqual(['first starts']);
  });

  it('fails a run whose plan is of an unknown version, at once and with a code', async () => {
    const unknown = { ...fixtures.threeSteps, plan: { ...fixtures.threeSteps.plan, planVersion: 99 } };
    const handle = await start(client, unknown, { log: '', ms: 1 }, QUEUE);
    expect(await failureOf(handle)).toMatchObject({ code: 'UNKNOWN_PLAN_VERSION' });
  });

  it('fails a run on a defect of the interpreter instead of repeating its task for ever', async () => {
    const { plan } = fixtures.threeSteps;
    // State of no earlier history: the interpreter throws where it reads it.
    const context = { plan: { ...plan, stages: [], output: {} }, placement: {}, tenant: 'default', carried: {} };
    const handle = await client.workflow.start('broken', {
      taskQueue: QUEUE,
      workflowId: `broken-${Date.now()}`,
      args: [{}, context],
    });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'INTERNAL' } });
  });
});
