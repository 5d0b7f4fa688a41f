import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CallLog, connect, fixtures, resultOf, start, until } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

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
    const log = new CallLog();
    const victim = await WorkerProcess.start(queue);
    const run = await start(client, fixtures.threeSteps, { log: log.file, ms: 1_000 }, queue);
    await until('the second stage runs', () => log.count('second starts') === 1);
    await victim.kill();
    const other = await WorkerProcess.start(queue);
    const { output, stages } = await resultOf(run);
    await other.kill('SIGTERM');
    expect(output).toEqual({ last: 'third' });
    expect(NAMES.map((name) => log.count(`${name} starts`))).toEqual([1, 2, 1]);
    expect(NAMES.map((name) => log.count(`${name} ends`))).toEqual([1, 1, 1]);
    expect(stages.map(({ attempt }) => attempt)).toEqual([1, 2, 1]);
  });

  it.concurrent('between two stages: another worker goes on with the next', async () => {
    const queue = 'kill-between-stages';
    const log = new CallLog();
    const victim = await WorkerProcess.start(queue);
    const run = await start(client, fixtures.threeSteps, { log: log.file, ms: 500 }, queue);
    await until('Temporal knows of the first stage’s end', async () => (await completed(run)).length >= 1);
    await victim.kill();
    const before = await completed(run);
    expect(before.length).toBeLessThan(3);
    const startsBefore = before.map((name) => log.count(`${name} starts`));
    const other = await WorkerProcess.start(queue);
    expect((await resultOf(run)).output).toEqual({ last: 'third' });
    await other.kill('SIGTERM');
    expect(before.map((name) => log.count(`${name} starts`))).toEqual(startsBefore);
    expect(log.count('third ends')).toBe(1);
  });

  it('with 20 runs in flight: none is lost and no completed stage is repeated', async () => {
    const queue = 'kill-twenty';
    const logs = Array.from({ length: 20 }, () => new CallLog());
    const [victim, survivor] = await Promise.all([WorkerProcess.start(queue), WorkerProcess.start(queue)]);
    const runs = await Promise.all(
      logs.map(({ file }) => start(client, fixtures.threeSteps, { log: file, ms: 300 }, queue)),
    );
    await until('some stages have completed', () => logs.filter((log) => log.count('first ends') === 1).length >= 10);
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
