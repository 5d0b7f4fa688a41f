import { defaultPayloadConverter } from '@temporalio/common';
import { expect, it } from 'vitest';
import type { Json } from '../../../pipelines/json.js';
import { deliveryId, WEBHOOK_WORKFLOW } from '../../../pipelines/run/index.js';
import { notesIn, notesOf } from '../../../runs/notes.js';
import { FakeTemporal, grpcError } from '../../support/fake-temporal.js';
import { owe } from '../../support/owing.js';

/** A Temporal that has these histories of a run: what each of them begins with. */
const having = (histories: Readonly<Record<string, readonly Json[]>>) =>
  ({
    options: {
      namespace: 'default',
      loadedDataConverter: { payloadConverter: defaultPayloadConverter, payloadCodecs: [] },
    },
    workflow: {
      workflowService: {
        async getWorkflowExecutionHistory({ execution: { runId } }: { execution: { runId: string } }) {
          const args = histories[runId];
          if (!args) throw grpcError(5, 'workflow history not found');
          const payloads = args.map((arg) => defaultPayloadConverter.toPayload(arg));
          return { history: { events: [{ workflowExecutionStartedEventAttributes: { input: { payloads } } }] } };
        },
      },
    },
  }) as never;
const described = (runId: string) => ({ runId, raw: { workflowExecutionInfo: { firstRunId: 'first' } } }) as never;
const notes = { of: 'door' };

it.each<[string, Record<string, readonly Json[]>, Json | undefined]>([
  ['its only history', { first: [{}, {}, notes] }, notes],
  ['its latest one, when Temporal has removed the first', { latest: [{}, {}, notes] }, notes],
  ['its first one, where an earlier release has continued it', { first: [{}, {}, notes], latest: [{}, {}] }, notes],
  [
    'none of them: an earlier release has continued it, and Temporal removed the first',
    { latest: [{}, {}] },
    undefined,
  ],
  ['none of them: it was started without', { first: [{}, {}], latest: [{}, {}] }, undefined],
])('what a door keeps with a run is in %s', async (_, histories, expected) => {
  const runId = 'latest' in histories ? 'latest' : 'first';
  expect(await notesIn(having(histories), 'run-1', described(runId))).toEqual(expected);
});

it('fails where Temporal has nothing of the run, or does not answer', async () => {
  await expect(notesIn(having({}), 'run-1', described('latest'))).rejects.toThrow('not found');
});

it('are all that is read of what a history begins with: its input may be large', async () => {
  const read: Json[] = [];
  const temporal = having({ first: [{ name: 'Ada' }, {}, notes] });
  const { options } = temporal as unknown as { options: { loadedDataConverter: { payloadConverter: object } } };
  options.loadedDataConverter.payloadConverter = {
    fromPayload: (payload: never) => {
      const value = defaultPayloadConverter.fromPayload<Json>(payload);
      read.push(value);
      return value;
    },
  };
  expect(await notesIn(temporal, 'run-1', described('first'))).toEqual(notes);
  expect(read).toEqual([notes]);
});

it('are read in turn, and counted, where a delivery that has not started its run has them with the input', async () => {
  const temporal = new FakeTemporal();
  const deps = { temporal: temporal.client, uiUrl: () => '', webhooks: {} } as never;
  const memo = { tenant: 'acme', pipeline: 'chat', version: '1', createdAt: '', fingerprint: 'f' };
  const order = { of: { run: { args: [{ prompt: 'x'.repeat(2_000_000) }, {}, notes] } } };
  const options = { workflowId: deliveryId('chat-1'), memo, args: [order] };
  await temporal.client.workflow.start(WEBHOOK_WORKFLOW, options as never);
  const read = () => notesOf(deps, 'chat-1', { tenant: 'acme' });
  expect(await read()).toEqual(notes);
  owe(deps, 'acme', 15);
  await expect(read()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});
