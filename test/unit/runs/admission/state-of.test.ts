import { expect, test } from 'vitest';
import { CANCELLED_MEMO, deliveryId, WEBHOOK_WORKFLOW } from '../../../../pipelines/run/index.js';
import { stateOf } from '../../../../runs/admission/index.js';
import { FakeTemporal, grpcError } from '../../../support/fake-temporal.js';

const run = 'greet-1';
const started = async (workflowId: string, memo = {}, type = 'greet') => {
  const temporal = new FakeTemporal();
  await temporal.client.workflow.start(type, { workflowId, memo, args: [] } as never);
  return { temporal, workflow: temporal.only() };
};

test('a run that its delivery has not started yet is running: it keeps its slot, and its idempotency key finds it', async () => {
  const { temporal, workflow } = await started(deliveryId(run), {}, WEBHOOK_WORKFLOW);
  expect(await stateOf(temporal.client, run)).toBe('running');
  workflow.end({ output: {}, stages: [] });
  expect(await stateOf(temporal.client, run), 'Temporal no longer has the run').toBe('absent');
});

test('one that Temporal has removed is absent while its delivery still tries a receiver', async () => {
  const { temporal } = await started(deliveryId(run), {}, WEBHOOK_WORKFLOW);
  temporal.begun.add(deliveryId(run));
  expect(await stateOf(temporal.client, run)).toBe('absent');
});

test('one that starts, and ends, just as its delivery is looked at has ended', async () => {
  const { temporal, workflow } = await started(deliveryId(run), {}, WEBHOOK_WORKFLOW);
  const { getHandle } = temporal.client.workflow;
  temporal.client.workflow.getHandle = ((id: string) => {
    const handle = getHandle(id);
    const describe = async () => {
      if (id === deliveryId(run) && !temporal.begun.has(id)) {
        temporal.begun.add(id);
        await temporal.client.workflow.start('greet', { ...workflow.options, workflowId: run } as never);
        temporal.runs.get(run)?.end({ output: {}, stages: [] });
      }
      return await handle.describe();
    };
    return { ...handle, describe };
  }) as never;
  expect(await stateOf(temporal.client, run)).toBe('ended');
});

test('one that was cancelled before it was started has ended', async () => {
  const { temporal } = await started(deliveryId(run), { [CANCELLED_MEMO]: '2026-01-01T00:00:00Z' }, WEBHOOK_WORKFLOW);
  expect(await stateOf(temporal.client, run)).toBe('ended');
});

test('one that was started has the state of its own workflow', async () => {
  const { temporal, workflow } = await started(run);
  expect(await stateOf(temporal.client, run)).toBe('running');
  workflow.end({ output: {}, stages: [] });
  expect(await stateOf(temporal.client, run)).toBe('ended');
  expect(await stateOf(temporal.client, 'greet-2')).toBe('absent');
  temporal.outage = grpcError(14, 'unavailable');
  expect(await stateOf(temporal.client, run)).toBe('unknown');
});
