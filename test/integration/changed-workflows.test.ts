import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decideOn, waitOf } from '../support/deciding.js';
import { CodeRunner } from '../support/in-process.js';
import { CallLog, connect, failureOf, fixtures, resultOf, start, until } from '../support/runs.js';
import { TestWorker } from '../support/test-worker.js';

/** What a release with changed workflows does to runs that are under way, and to those that it begins. */
const CHANGED = {
  'another order': '../fixtures/changed-workflows/another-order.ts',
  'a bug': '../fixtures/changed-workflows/with-a-bug.ts',
};
const pipeline = fixtures.gated;
const runner = new CodeRunner(pipeline);

let client: Client;
beforeAll(async () => {
  client = await connect();
});
afterAll(() => client.connection.close());

const eventsOf = async (handle: WorkflowHandle) => (await handle.fetchHistory()).events ?? [];

describe('a release whose workflows have changed', () => {
  it.each(Object.entries(CHANGED))(
    'leaves a run that is under way for the one that mends it (%s)',
    async (_, workflows) => {
      const queue = `changed-${randomUUID()}`;
      const before = await TestWorker.start({ queue, runner });
      const handle = await start(client, pipeline, { log: new CallLog().file }, queue);
      await until('the run waits for a person', async () =>
        (await eventsOf(handle)).some(({ workflowTaskCompletedEventAttributes: completed }) => completed),
      );
      const { nonce } = await waitOf(handle, 'sign-off');
      await before.stop();
      const changed = await TestWorker.start({ queue, runner, workflows });
      // Nothing takes it, but the run has a task.
      await handle.signal('look');
      await until('its task has failed', async () =>
        (await eventsOf(handle)).some(({ workflowTaskFailedEventAttributes: failed }) => failed),
      );
      expect((await handle.describe()).status.name).toBe('RUNNING');
      await changed.stop();
      const mended = await TestWorker.start({ queue, runner });
      // The wait is the one that was seen before.
      await decideOn(handle, { nonce, approved: true, by: 'ada' });
      expect((await resultOf(handle)).output).toMatchObject({ approved: true, by: 'ada', last: 'first' });
      await mended.stop();
    },
  );

  it('fails a run that it begins itself and that meets the bug, with a code', async () => {
    const queue = `changed-${randomUUID()}`;
    const changed = await TestWorker.start({ queue, runner, workflows: CHANGED['a bug'] });
    const handle = await start(client, pipeline, { log: new CallLog().file }, queue);
    expect(await failureOf(handle)).toMatchObject({ code: 'INTERNAL', message: 'undefined is not iterable' });
    await changed.stop();
  });
});

it('a worker outlives workflow code that stands still for longer than Temporal’s SDK lets it by default', async () => {
  const queue = `stalling-${randomUUID()}`;
  const worker = await TestWorker.start({ queue, runner, workflows: '../fixtures/changed-workflows/stalling.ts' });
  const handle = await start(client, pipeline, { log: new CallLog().file }, queue);
  const { nonce } = await waitOf(handle, 'sign-off');
  await decideOn(handle, { nonce, approved: true, by: 'ada' });
  expect((await resultOf(handle)).output).toMatchObject({ approved: true, by: 'ada' });
  await worker.stop();
});
