import { expect, test } from 'vitest';
import { z } from 'zod';
import { type Pipeline, pipeline } from '../../../pipelines/index.js';
import { CANCELLED_MEMO, deliveryId, WEBHOOK_WORKFLOW } from '../../../pipelines/run/index.js';
import type { RunDeps } from '../../../runs/deps.js';
import { prepareRun } from '../../../runs/prepare.js';
import { startRun } from '../../../runs/start.js';
import { FakeTemporal } from '../../support/fake-temporal.js';

/* A run that was accepted with a receiver, and that no worker has started: its key comes again, without one. */

const ID = 'greet-1';
const greet = pipeline('greet', { input: z.object({ name: z.string() }) }, ({ input }) => ({
  name: input.name,
})) as unknown as Pipeline;
const asked = (name: string, of: { readonly idempotencyKey?: string } = { idempotencyKey: 'k' }) =>
  prepareRun({ placementOf: () => ({}) }, { id: ID, pipeline: greet, tenant: 'acme', input: { name }, ...of });

/** Temporal with the delivery of a run that was asked for with the name Ada. */
async function accepted(memo: object = {}) {
  const temporal = new FakeTemporal();
  const before = asked('Ada').memo;
  const delivery = { workflowId: deliveryId(ID), memo: { ...before, ...memo }, args: [] };
  await temporal.client.workflow.start(WEBHOOK_WORKFLOW, delivery as never);
  const deps = { temporal: temporal.client, taskQueue: 'q', webhooks: {} } as unknown as RunDeps;
  return { temporal, before, deps };
}

test('it is the one that the key gets', async () => {
  const { temporal, before, deps } = await accepted();
  expect(await startRun(deps, asked('Ada'))).toMatchObject({ id: ID, memo: before, replayed: true });
  expect(temporal.only().type).toBe(WEBHOOK_WORKFLOW);
});

test('it is not replaced by one with another input', async () => {
  const { temporal, deps } = await accepted();
  await expect(startRun(deps, asked('Bob'))).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  expect(temporal.only().type).toBe(WEBHOOK_WORKFLOW);
});

test('it keeps its key after it was cancelled', async () => {
  const { temporal, deps } = await accepted({ [CANCELLED_MEMO]: '2026-01-01T00:00:00Z' });
  temporal.only().end({ output: {}, stages: [] });
  expect(await startRun(deps, asked('Ada'))).toMatchObject({ replayed: true });
});

test('one that Temporal has removed has none any more', async () => {
  const { temporal, deps } = await accepted();
  temporal.begun.add(deliveryId(ID));
  expect(await startRun(deps, asked('Bob'))).toMatchObject({ replayed: false });
  expect(temporal.runs.get(ID)?.type).toBe('greet');
});

test('a run without a key asks for none: its id is its own', async () => {
  const { temporal, deps } = await accepted();
  const looked: string[] = [];
  const { getHandle } = temporal.client.workflow;
  temporal.client.workflow.getHandle = ((id: string) => {
    looked.push(id);
    return getHandle(id);
  }) as never;
  expect(await startRun(deps, asked('Ada', {}))).toMatchObject({ replayed: false });
  expect(looked).toEqual([]);
});
