import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandleWithStartDetails } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approve, code, eq, type Pipeline, pipeline, size } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunContext, RunResult, StageRecord } from '../../pipelines/run/index.js';
import { decideAt, decideOn, waitOf } from '../support/deciding.js';
import { CodeRunner, contextOf } from '../support/in-process.js';
import { connect, until } from '../support/runs.js';
import { TestWorker } from '../support/test-worker.js';

/** Temporal suggests a new history at about 4,096 events. An item is three of them, and a share of a workflow task. */
const ITEMS = 1_400;
/** A round is six events: the next one starts in a workflow task of its own. */
const ROUNDS = 720;
const LIMIT_MS = 480_000;

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));

const many = pipeline(
  'many',
  { input: z.object({ items: z.array(z.number()) }), deadline: '1h' },
  ({ input, stage, each }) => {
    const early = stage('early', approve({ timeout: '50m' }), { subject: 'beside the loop' });
    const all = each('all', input.items, (n) => stage('one', add, { n }).n, { concurrency: 64 });
    const late = stage('late', approve({ timeout: '50m' }), { subject: 'after the loop' });
    return { all, early: early.by, late: late.by, after: stage('after', add, { n: size(all) }).n };
  },
) as unknown as Pipeline;

const long = pipeline('long', { input: one, deadline: '1h' }, ({ input, stage, repeat }) => ({
  n: repeat('count', { n: input.n }, (state) => ({ n: stage('more', add, { n: state.n }).n }), {
    until: (state) => eq(state.n, ROUNDS),
    atMost: 2 * ROUNDS,
  }).n,
})) as unknown as Pipeline;

describe('a run that outgrows its history', () => {
  let client: Client;
  beforeAll(async () => {
    client = await connect();
  });
  afterAll(() => client.connection.close());

  /** Starts a run on a worker of its own and gives what `act` gives. */
  async function on<T>(
    pipeline: Pipeline,
    input: JsonObject,
    act: (handle: WorkflowHandleWithStartDetails, runner: CodeRunner) => Promise<T>,
  ): Promise<T> {
    const queue = `control-flow-${randomUUID()}`;
    const runner = new CodeRunner(pipeline);
    const worker = await TestWorker.start({ queue, runner });
    try {
      const args: [JsonObject, RunContext] = [input, contextOf(pipeline, queue)];
      const workflowId = `${pipeline.name}-${randomUUID()}`;
      return await act(await client.workflow.start(pipeline.name, { taskQueue: queue, workflowId, args }), runner);
    } finally {
      await worker.stop();
    }
  }

  /** The run ids of a run's histories so far, the first one first, what each began with, and the activities of each. */
  async function historiesOf({ workflowId, firstExecutionRunId }: WorkflowHandleWithStartDetails) {
    const found: { runId: string; startedAt: number; carriedStart?: number; scheduled: string[] }[] = [];
    let runId: string | null | undefined = firstExecutionRunId;
    while (runId) {
      const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      const [first] = events ?? [];
      const payload = first?.workflowExecutionStartedEventAttributes?.input?.payloads?.[1]?.data;
      const context = JSON.parse(Buffer.from(payload ?? []).toString()) as RunContext;
      const startedAt = Number(first?.eventTime?.seconds) * 1_000;
      const scheduled = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: activity }) =>
        activity?.activityType?.name ? [activity.activityType.name] : [],
      );
      found.push({ runId, startedAt, scheduled, ...(context.carried && { carriedStart: context.carried.startedAt }) });
      runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    }
    return found;
  }

  /**
   * How often a stage was called, in all histories. What the worker has begun is more where it stood still and Temporal took it
   * for dead: another attempt is the same call.
   */
  const callsOf = async (handle: WorkflowHandleWithStartDetails, runner: CodeRunner, stage: string) => {
    const scheduled = (await historiesOf(handle)).flatMap((history) => history.scheduled);
    const begun = runner.events.filter((event) => event === `${stage} starts`).length;
    const calls = scheduled.filter((name) => name === stage).length;
    return { calls, allBegun: begun >= calls };
  };

  it(
    'goes on in a new one in the middle of a list: nothing is lost, repeated or out of order',
    async () => {
      const items = Array.from({ length: ITEMS }, (_, i) => i);
      await on(many, { items }, async (handle, runner) => {
        const before = await waitOf(handle, 'early');
        await until('there is a second history', async () => (await historiesOf(handle)).length > 1, LIMIT_MS);
        const rows = await client.workflow.getHandle(handle.workflowId).query<StageRecord[]>('stages');
        expect(rows.find(({ stage }) => stage === 'early')?.status).toBe('running');
        // The wait is the same as in the first history: who has seen it there decides it here.
        const run = client.workflow.getHandle(handle.workflowId);
        expect(await waitOf(run, 'early')).toMatchObject({ nonce: before.nonce, since: before.since });
        await decideOn(run, { nonce: before.nonce, approved: true, by: 'bob' });
        await decideOn(run, { nonce: before.nonce, approved: true, by: 'bob' });
        await expect(decideOn(run, { nonce: before.nonce, approved: false })).rejects.toMatchObject({
          cause: { type: 'ALREADY_DECIDED' },
        });
        await decideAt(run, 'late', { approved: true, by: 'ada' });
        const { output, stages } = (await handle.result()) as RunResult;
        expect(output).toEqual({ all: items.map((n) => n + 1), early: 'bob', late: 'ada', after: ITEMS + 1 });
        const table = Object.fromEntries(stages.map((row) => [row.stage, row]));
        expect(table.one).toMatchObject({ status: 'done', count: { done: ITEMS, started: ITEMS } });
        expect(table.early).toMatchObject({ status: 'done' });
        expect(table.early?.count).toBeUndefined();
        expect(await callsOf(handle, runner, 'one')).toEqual({ calls: ITEMS, allBegun: true });
        expect(await callsOf(handle, runner, 'after')).toEqual({ calls: 1, allBegun: true });
        // The run's start is that of its first history, in all of them; times of events are in whole seconds here.
        const [first, ...later] = await historiesOf(handle);
        const second = later[0]?.startedAt ?? 0;
        for (const { carriedStart = 0 } of later) {
          expect(carriedStart).toBeGreaterThanOrEqual(first?.startedAt ?? Number.NaN);
          expect(carriedStart).toBeLessThan(second);
        }
        expect(new Set(later.map(({ carriedStart }) => carriedStart)).size).toBe(1);
      });
    },
    LIMIT_MS,
  );

  it(
    'goes on in a new one in the middle of a long loop',
    async () => {
      await on(long, { n: 0 }, async (handle, runner) => {
        const { output, stages } = (await handle.result()) as RunResult;
        expect(output).toEqual({ n: ROUNDS });
        expect(stages).toMatchObject([{ stage: 'more', count: { done: ROUNDS, started: ROUNDS } }]);
        expect(await callsOf(handle, runner, 'more')).toEqual({ calls: ROUNDS, allBegun: true });
        expect((await historiesOf(handle)).length).toBeGreaterThan(1);
      });
    },
    LIMIT_MS,
  );
});
