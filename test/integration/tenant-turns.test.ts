import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../pipelines/index.js';
import { queueStats } from '../../runs/admission/queue-stats.js';
import { CodeRunner } from '../support/in-process.js';
import { connect, resultOf, start, until } from '../support/runs.js';
import { TestWorker, type TestWorkerOptions } from '../support/test-worker.js';

const one = z.object({ n: z.number() });
const more = code('more', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const steps = pipeline('three-turns', { input: one }, ({ input, stage }) => {
  const options = { execution: 'queued' } as const;
  const a = stage('first', more, { n: input.n }, options);
  const b = stage('second', more, { n: a.n }, options);
  return { n: stage('third', more, { n: b.n }, options).n };
}) as unknown as Pipeline;

/** Runs of one tenant that wait in the queue. */
const WAITING = 200;

it('200 waiting runs of one tenant do not keep the run of another waiting: tenants take turns in a task queue', async () => {
  const client = await connect();
  const queue = `turns-${randomUUID()}`;
  const stages = new CodeRunner(steps);
  /** Whose calls have begun, in order. */
  const calls: string[] = [];
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const runner: TestWorkerOptions['runner'] = {
    run: async (input, call, attempt) => {
      calls.push(call.tenant);
      await gate;
      return await stages.run(input, call, attempt);
    },
  };
  const waiting = async () => {
    // A gateway waits half a second for them: Temporal has just been given 200 runs.
    const stats = await queueStats(client, { name: queue, type: 'activity' }).catch(() => undefined);
    return [...(stats?.values() ?? [])].reduce((sum, { tasks }) => sum + tasks, 0);
  };
  const worker = await TestWorker.start({ queue, runner, most: 1 });
  try {
    const greedy = await Promise.all(
      Array.from({ length: 1 + WAITING }, (_, n) => start(client, steps, { n }, queue, 'greedy')),
    );
    await until('they wait behind the first', async () => (await waiting()) >= WAITING);
    const modest = await start(client, steps, { n: 0 }, queue, 'modest');
    await until('it waits behind them', async () => (await waiting()) > WAITING);
    open();
    expect((await resultOf(modest)).output).toEqual({ n: 3 });
    // First come, first served would be 200 calls before its first one, and 600 before its third.
    const before = calls.slice(0, calls.lastIndexOf('modest')).filter((tenant) => tenant === 'greedy');
    expect(calls.filter((tenant) => tenant === 'modest')).toHaveLength(3);
    expect(before.length).toBeLessThan(WAITING / 2);
    // Some may have ended meanwhile.
    await Promise.all(greedy.map((run) => run.terminate().catch(() => undefined)));
  } finally {
    open();
    await worker.stop();
    await client.connection.close();
  }
});
