import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Link } from '../../bench/chaos/link.js';
import type { StagePlan } from '../../pipelines/plan/index.js';
import { place } from '../../placement/place.js';
import { caught } from '../support/caught.js';
import { freePort } from '../support/free-port.js';
import { CodeRunner } from '../support/in-process.js';
import { CallLog, connect, failureOf, fixtures, poolOf, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';

/** Value of temporal.api.enums.v1.PendingActivityState. */
const STARTED = 2;
/** Value of temporal.api.enums.v1.TaskQueueType. */
const ACTIVITIES = 2;

const NAMES = ['first', 'second', 'third'] as const;

/** Stages that Temporal knows to have completed. */
async function completed(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  const scheduled = new Map(
    (events ?? []).map((event) => [
      String(event.eventId),
      event.activityTaskScheduledEventAttributes?.activityType?.name,
    ]),
  );
  return (events ?? []).flatMap((event) => {
    const id = event.activityTaskCompletedEventAttributes?.scheduledEventId;
    return id ? [scheduled.get(String(id)) ?? ''] : [];
  });
}

/** The attempt by which an activity has ended, as Temporal counts. */
async function attemptOf(handle: WorkflowHandle, name: string): Promise<number | null | undefined> {
  const { events } = await handle.fetchHistory();
  const scheduled = events?.find((each) => each.activityTaskScheduledEventAttributes?.activityType?.name === name);
  const started = events?.flatMap((each) => each.activityTaskStartedEventAttributes ?? []);
  return started?.find(({ scheduledEventId }) => String(scheduledEventId) === String(scheduled?.eventId))?.attempt;
}

interface Timestamp {
  readonly seconds?: { toString(): string } | null;
  readonly nanos?: number | null;
}
const msOf = (time: Timestamp | null | undefined) => Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1e6;

/** Whether a worker polls a queue for a task since it has ended the last activity of a run. */
async function pollsAgain(client: Client, queue: string, run: WorkflowHandle): Promise<boolean> {
  const { events } = await run.fetchHistory();
  const ends = (events ?? []).filter((each) => each.activityTaskCompletedEventAttributes);
  const { pollers } = await client.workflow.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: ACTIVITIES,
  });
  return (pollers ?? []).some(({ lastAccessTime }) => msOf(lastAccessTime) > msOf(ends.at(-1)?.eventTime));
}

it('a promise that a function of an author leaves behind, rejected, ends no worker', async () => {
  const queue = 'forgotten-promise';
  const client = await connect();
  const worker = await WorkerProcess.start(queue);
  try {
    for (const name of ['one', 'two']) {
      const { output } = await resultOf(await start(client, fixtures.forgets, { name }, queue));
      expect(output).toEqual({ name });
    }
    await until('both are counted', async () => (await worker.metric('millrace_unhandled_rejections_total')) >= 2);
    await expect.poll(() => readFileSync(worker.logFile, 'utf8')).toContain('nobody awaits this: two');
  } finally {
    await worker.kill('SIGTERM');
    await client.connection.close();
  }
});

it('a worker that is told to stop once more lets its stage end', () =>
  unlessStill(async () => {
    const queue = 'told-twice';
    const client = await connect();
    const log = new CallLog();
    const worker = await WorkerProcess.start(queue, { MILLRACE_SHUTDOWN_GRACE_MS: '60000' });
    const run = await start(client, fixtures.threeSteps, { log: log.file, ms: 3_000 }, queue);
    const written = () => readFileSync(worker.logFile, 'utf8');
    try {
      await until('the first stage runs', () => log.count('first starts') > 0);
      const ended = worker.kill('SIGTERM');
      await until('the worker stops', () => written().includes('STOPPING'));
      await Promise.all([ended, worker.kill('SIGTERM')]);
      await expect.poll(written).toContain('worker ended');
      expect(log.count('first ends')).toBe(1);
    } finally {
      await worker.kill();
      await run.terminate();
      await client.connection.close();
    }
  }));

describe('a worker killed with SIGKILL', () => {
  let client: Client;
  beforeAll(async () => {
    client = await connect();
  });
  afterAll(async () => {
    await client.connection.close();
  });

  it.concurrent('in the middle of a stage: another worker repeats that stage and no completed one', async () => {
    const queue = 'kill-mid-stage';
    const { log, run } = await caught('the second stage', async () => {
      const log = new CallLog();
      const victim = await WorkerProcess.start(queue);
      const run = await start(client, fixtures.threeSteps, { log: log.file, ms: 1_000 }, queue);
      await until('the second stage runs', () => log.count('second starts') > 0);
      await victim.kill();
      if (log.count('second ends') === 0) return { log, run };
      await run.terminate();
      return undefined;
    });
    // An attempt of a worker that stood still may have been repeated before the kill.
    const firstLines = () => log.lines().filter((line) => line.startsWith('first '));
    const [firstBefore, firstAttempt] = [firstLines(), await attemptOf(run, 'first')];
    const other = await WorkerProcess.start(queue);
    const { output, stages } = await resultOf(run);
    await other.kill('SIGTERM');
    expect(output).toEqual({ last: 'third' });
    expect(firstLines()).toEqual(firstBefore);
    expect(log.count('second starts')).toBeGreaterThanOrEqual(2);
    for (const name of NAMES) expect(log.count(`${name} ends`), name).toBeGreaterThanOrEqual(1);
    expect(stages[0]?.attempt).toBe(firstAttempt);
    expect(stages[1]?.attempt).toBeGreaterThanOrEqual(2);
  });

  it.concurrent('between two stages: another worker goes on with the next', async () => {
    const queue = 'kill-between-stages';
    const { log, run, before } = await caught('the run', async () => {
      const log = new CallLog();
      const victim = await WorkerProcess.start(queue);
      const run = await start(client, fixtures.threeSteps, { log: log.file, ms: 500 }, queue);
      await until('Temporal knows of the first stage’s end', async () => (await completed(run)).length >= 1);
      await victim.kill();
      const before = await completed(run);
      return before.length < 3 ? { log, run, before } : undefined;
    });
    const startsBefore = before.map((name) => log.count(`${name} starts`));
    const other = await WorkerProcess.start(queue);
    expect((await resultOf(run)).output).toEqual({ last: 'third' });
    await other.kill('SIGTERM');
    expect(before.map((name) => log.count(`${name} starts`))).toEqual(startsBefore);
    expect(log.count('third ends')).toBeGreaterThanOrEqual(1);
  });

  it.concurrent('cut off with a task on its way: the task is not begun once another worker has completed it', async () => {
    const [workflows, stages] = ['late-workflows', 'late-stages'];
    const log = new CallLog();
    const port = await freePort();
    const link = await Link.open({ port, target: testSettings().MILLRACE_TEMPORAL_PORT });
    const [host, late] = await Promise.all([
      WorkerProcess.start(workflows),
      // With one slot it has one poll on its way: each that is lost costs the run seconds, and its connection lasts 45 s.
      WorkerProcess.start(stages, { TEMPORAL_ADDRESS: `127.0.0.1:${port}`, MILLRACE_MAX_ACTIVITIES: '1' }),
    ]);
    const { name, plan } = fixtures.threeSteps;
    const placement = place(plan, poolOf, stages);
    const begin = (file: string) =>
      client.workflow.start(name, {
        taskQueue: workflows,
        workflowId: `${name}-${randomUUID()}`,
        args: [
          { log: file, ms: 1 },
          { plan, placement, tenant: 'default' },
        ],
      });
    const before = await begin(new CallLog().file);
    await resultOf(before);
    await until('the worker polls for the next task', () => pollsAgain(client, stages, before));
    link.cut('silent');
    const run = await begin(log.file);
    await until('Temporal has sent the task to the worker that is cut off', async () => {
      const [activity] = (await run.describe()).raw.pendingActivities ?? [];
      return activity?.state === STARTED;
    });
    // One in this process is there at once: the cut connection lasts 45 s, and a process may take as long to start.
    const other = await TestWorker.start({ queue: stages, runner: new CodeRunner(fixtures.threeSteps) });
    expect((await resultOf(run)).output).toEqual({ last: 'third' });
    const starts = () => NAMES.map((each) => log.count(`${each} starts`));
    const startsBefore = starts();
    link.mend();
    await until('the task arrives', () => readFileSync(late.logFile, 'utf8').includes('the task came late'));
    expect(starts()).toEqual(startsBefore);
    await Promise.all([host, late].map((each) => each.kill('SIGTERM')));
    await other.stop();
    link.close();
  });

  it.concurrent('in the only attempt of a call that has another device: it is not made there again', async () => {
    const [first, next] = ['once-first', 'once-next'];
    const log = new CallLog();
    const [victim, host] = await Promise.all([WorkerProcess.start(first), WorkerProcess.start(next)]);
    const { name, plan } = fixtures.threeSteps;
    const stages = (plan.stages as readonly StagePlan[]).map(({ policy, ...rest }) => ({
      ...rest,
      policy: { ...policy, retry: { ...policy.retry, attempts: 1 } },
    }));
    const elsewhere = [{ queue: next, device: 'next' }];
    // The worker that is killed must have the call before the stage goes on without it.
    const row = { connector: 'code', device: 'first', queue: first, elsewhere, patienceMs: 30_000 };
    const run = await client.workflow.start(name, {
      taskQueue: next,
      workflowId: `${name}-${randomUUID()}`,
      args: [
        { log: log.file, ms: 3_000 },
        { plan: { ...plan, stages }, placement: { first: row, second: row, third: row }, tenant: 'default' },
      ],
    });
    await until('the call is made', () => log.count('first starts') > 0);
    await victim.kill();
    const { code, stage } = await failureOf(run);
    await host.kill('SIGTERM');
    expect({ code, stage }).toEqual({ code: 'STAGE_TIMEOUT', stage: 'first' });
    expect(log.lines()).toEqual(['first starts']);
  });

  it('with 20 runs in flight: none is lost and no completed stage is repeated', async () => {
    const queue = 'kill-twenty';
    const logs = Array.from({ length: 20 }, () => new CallLog());
    const [victim, survivor] = await Promise.all([WorkerProcess.start(queue), WorkerProcess.start(queue)]);
    const runs = await Promise.all(
      logs.map(({ file }) => start(client, fixtures.threeSteps, { log: file, ms: 300 }, queue)),
    );
    await until('some stages have completed', () => logs.filter((log) => log.count('first ends') === 1).length >= 10);
    const recorded = async () => (await Promise.all(runs.map(completed))).flat();
    await until('Temporal knows of an end', async () => (await recorded()).length >= 1);
    await victim.kill();
    const before = await Promise.all(runs.map(completed));
    const starts = () => before.map((names, i) => names.map((name) => logs[i]?.count(`${name} starts`)));
    const startsBefore = starts();
    const results = await Promise.all(runs.map(resultOf));
    await survivor.kill('SIGTERM');
    expect(results.filter(({ output }) => output.last === 'third')).toHaveLength(20);
    expect(starts()).toEqual(startsBefore);
    expect(before.flat().length).toBeGreaterThan(0);
  });
});
