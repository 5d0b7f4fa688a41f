import { CancelledFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Problem } from '../../../../pipelines/run/document.js';
import { CANCELLED_MEMO, deliveryId, replayId, WEBHOOK_WORKFLOW } from '../../../../pipelines/run/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { FakeTemporal } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
let id: string;
beforeEach(async () => {
  gateway = await testGateway();
  const payload = { name: 'Ada' };
  id = (await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload })).json<RunDocument>().id;
});
afterEach(() => gateway.close());

/** Histories of runs that have started no others. */
const withoutChildren = { getWorkflowExecutionHistoryReverse: async () => ({ history: { events: [] } }) };

const codeOf = (response: { json<T>(): T }) => response.json<Problem>().code;

describe('erasing', () => {
  const erase = (headers: Record<string, string> = {}) =>
    gateway.app.inject({ method: 'DELETE', url: `/v1/runs/${id}`, headers });

  test('is for runs that have ended', async () => {
    const response = await erase();
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
  });

  test('is not for one whose record a run that resumes it still reads', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.end(new CancelledFailure('cancelled'));
    const next = `${id}-r1`;
    await temporal.client.workflow.start('greet', { ...run.options, workflowId: next } as never);
    const response = await erase();
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
    expect(response.body).toContain(next);
  });

  test('nor for one whose resumption has been resumed in its turn', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    const [first, second] = [`${id}-r1`, `${id}-r2`];
    run.end(new CancelledFailure('cancelled'));
    for (const workflowId of [first, second])
      await temporal.client.workflow.start('greet', { ...run.options, workflowId } as never);
    temporal.runs.get(first)?.end(new CancelledFailure('cancelled'));
    const response = await erase();
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
    expect(response.body).toContain(second);
  });

  test('nor for one that is to be resumed by a run that no worker has started yet', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.options.memo.webhooks = [{ url: 'https://receiver.test/' }];
    run.end(new CancelledFailure('cancelled'));
    const delivery = { ...run.options, workflowId: deliveryId(`${id}-r1`) };
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, delivery as never);
    expect(codeOf(await erase())).toBe('RUN_NOT_ENDED');
    const { resumedAs } = (await gateway.app.inject({ url: `/v1/runs/${id}` })).json<RunDocument>();
    expect(resumedAs).toBe(`${id}-r1`);
  });

  test('asks Temporal once for what belongs to the run, as often as the tenant may list runs', async () => {
    const { temporal } = gateway;
    temporal.only().end({ output: {}, stages: [] });
    const asked: string[] = [];
    const deleted: string[] = [];
    const others = [`${id}-r1`, `${id}2/inner`, `${id.toUpperCase()}/inner`, `webhook/${id}2`];
    const executions = [...others, id, `webhook/${id}`, `${id}/inner`].map((workflowId) => ({
      execution: { workflowId, runId: `other-${workflowId}` },
    }));
    const workflowService = {
      ...withoutChildren,
      listWorkflowExecutions: async ({ query }: { query: string }) => {
        asked.push(query);
        return { executions, nextPageToken: new Uint8Array() };
      },
      deleteWorkflowExecution: async ({ workflowExecution }: { workflowExecution: { workflowId: string } }) =>
        void deleted.push(workflowExecution.workflowId),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    expect((await erase()).statusCode).toBe(204);
    expect(asked).toHaveLength(1);
    // The run itself comes last, and nothing of another run is among them, whatever the answer has.
    expect(deleted).toEqual([`webhook/${id}`, `${id}/inner`, id, id]);
    const more = await Promise.all(Array.from({ length: 60 }, () => erase()));
    const refused = more.filter(({ statusCode }) => statusCode === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(codeOf(refused[0] as (typeof more)[number])).toBe('RATE_LIMITED');
  });

  test('ends what still sends its event: its delivery and a replay of it, also before Temporal’s index shows them', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.end({ output: {}, stages: [] });
    const replay = { execution: { workflowId: `webhook/${id}/replay`, runId: 'replay-1' } };
    const deletedOf = async (executions: object[]) => {
      const deleted: unknown[] = [];
      const workflowService = {
        ...withoutChildren,
        listWorkflowExecutions: async () => ({ executions, nextPageToken: new Uint8Array() }),
        deleteWorkflowExecution: async (given: { workflowExecution: { workflowId: string; runId?: string } }) =>
          void deleted.push(Object.values(given.workflowExecution).join(' ')),
      };
      Object.assign(temporal.client.workflow, { workflowService });
      expect((await erase()).statusCode).toBe(204);
      return deleted;
    };
    expect(await deletedOf([replay])).toEqual([`webhook/${id}/replay replay-1`, `${id} execution-1`]);
    run.options.memo.webhooks = [{ url: 'https://receiver.test/' }];
    const sends = async (workflowId: string, memo: object) =>
      await temporal.client.workflow.start(WEBHOOK_WORKFLOW, { ...run.options, workflowId, memo } as never);
    await sends(replayId(id), {});
    await sends(deliveryId(id), run.options.memo);
    const [ofReplay, ofDelivery] = await deletedOf([]);
    expect([ofReplay, ofDelivery]).toEqual([
      expect.stringMatching(`^webhook/${id}/replay execution-\\d+$`),
      expect.stringMatching(`^webhook/${id} execution-\\d+$`),
    ]);
  });

  test('leaves a later run with the same id, which another erasure has made room for, and its delivery', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.end({ output: {}, stages: [] });
    run.options.memo.webhooks = [{ url: 'https://receiver.test/' }];
    const later = {
      ...run.options,
      workflowId: deliveryId(id),
      memo: { ...run.options.memo, createdAt: '2099-01-01' },
    };
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, later as never);
    const deleted: string[] = [];
    const listed = [id, deliveryId(id), `${id}/items[1]/child`].map((workflowId) => ({
      execution: { workflowId, runId: 'later' },
      startTime: { seconds: 4_000_000_000, nanos: 0 },
    }));
    const workflowService = {
      ...withoutChildren,
      listWorkflowExecutions: async () => ({ executions: listed, nextPageToken: new Uint8Array() }),
      deleteWorkflowExecution: async (given: { workflowExecution: { workflowId: string } }) =>
        void deleted.push(given.workflowExecution.workflowId),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    expect((await erase()).statusCode).toBe(204);
    expect(deleted).toEqual([id]);
  });

  test('of a run that was cancelled before it was started removes its delivery, which has its input', async () => {
    const temporal = new FakeTemporal();
    const { options } = gateway.temporal.only();
    const memo = { ...options.memo, [CANCELLED_MEMO]: new Date().toISOString() };
    const delivery = { ...options, workflowId: deliveryId(id), memo };
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, delivery as never);
    const deleted: unknown[] = [];
    const workflowService = {
      listWorkflowExecutions: async () => ({
        executions: [{ execution: { workflowId: deliveryId(id), runId: 'execution-1' } }],
      }),
      deleteWorkflowExecution: async ({ workflowExecution }: { workflowExecution: object }) =>
        void deleted.push(workflowExecution),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    const own = await testGateway({}, { temporal: temporal.client, webhooks: {} as never });
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect(deleted).toEqual([{ workflowId: deliveryId(id), runId: 'execution-1' }]);
    await own.close();
  });

  test('of a run that Temporal has removed removes its delivery, which still tries to send its output', async () => {
    const temporal = new FakeTemporal();
    const { options } = gateway.temporal.only();
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, { ...options, workflowId: deliveryId(id) } as never);
    temporal.begun.add(deliveryId(id));
    const deleted: unknown[] = [];
    const workflowService = {
      listWorkflowExecutions: async () => ({ executions: [] }),
      deleteWorkflowExecution: async ({ workflowExecution }: { workflowExecution: object }) =>
        void deleted.push(workflowExecution),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    const own = await testGateway({}, { temporal: temporal.client, webhooks: {} as never });
    const read = await own.app.inject({ url: `/v1/runs/${id}` });
    expect([read.statusCode, codeOf(read)]).toEqual([404, 'RUN_NOT_FOUND']);
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect(deleted).toEqual([{ workflowId: deliveryId(id), runId: 'execution-1' }]);
    await own.close();
  });

  test('reaches the journals and channels of the run before any history is gone, and of its child runs', async () => {
    const { client } = gateway.temporal;
    gateway.temporal.only().end({ output: {}, stages: [] });
    const done: string[] = [];
    const executions = [`${id}/inner`, `webhook/${id}`, `${id}/inner`].map((workflowId, i) => ({
      execution: { workflowId, runId: `other-${i}` },
    }));
    const workflowService = {
      ...withoutChildren,
      listWorkflowExecutions: async () => ({ executions, nextPageToken: new Uint8Array() }),
      deleteWorkflowExecution: async () => void done.push('history'),
    };
    Object.assign(client.workflow, { workflowService });
    const erasure = { erase: async (run: string) => void done.push(run) };
    const own = await testGateway({}, { temporal: client, erasure });
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect(done).toEqual([id, `${id}/inner`, ...Array(4).fill('history')]);
    await own.close();
  });

  describe('of a run that has ended a moment ago', () => {
    const now = Date.now();
    const at = (agoMs: number) => ({ eventTime: { seconds: Math.floor((now - agoMs) / 1_000), nanos: 0 } });
    const started = (workflowId: string, runId: string, agoMs = 1_000) => ({
      ...at(agoMs),
      childWorkflowExecutionStartedEventAttributes: { workflowExecution: { workflowId, runId } },
    });
    const asked: string[] = [];
    const done: string[] = [];
    let turns: number;
    beforeEach(() => {
      asked.length = 0;
      done.length = 0;
      turns = 0;
    });
    const list = {
      page: async () => ({ runs: [] }),
      turn: async () => {
        turns += 1;
      },
    };

    /** Erases it where Temporal has these executions in its index, and pages of these histories, the latest events first. */
    async function erased(
      listed: readonly object[],
      histories: (runId: string) => readonly (readonly object[])[],
      pagesOfList = 1,
    ) {
      const { client } = gateway.temporal;
      gateway.temporal.only().end({ output: {}, stages: [] });
      const workflowService = {
        listWorkflowExecutions: async ({ nextPageToken: [page = 1] }: { nextPageToken: Uint8Array }) => ({
          executions: listed,
          nextPageToken: page < pagesOfList ? Uint8Array.of(page + 1) : new Uint8Array(),
        }),
        getWorkflowExecutionHistoryReverse: async ({
          execution: { runId },
          nextPageToken = Uint8Array.of(0),
        }: {
          execution: { runId: string };
          nextPageToken?: Uint8Array;
        }) => {
          const [page = 0] = nextPageToken;
          asked.push(`${runId} ${page}`);
          const pages = histories(runId);
          const next = page + 1 < pages.length ? Uint8Array.of(page + 1) : new Uint8Array();
          return { history: { events: pages[page] ?? [] }, nextPageToken: next };
        },
        deleteWorkflowExecution: async (given: { workflowExecution: { workflowId: string; runId: string } }) =>
          void done.push(Object.values(given.workflowExecution).join(' ')),
      };
      Object.assign(client.workflow, { workflowService });
      const erasure = { erase: async (run: string) => void done.push(run) };
      const own = await testGateway({}, { temporal: client, list, erasure });
      const response = await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` });
      await own.close();
      return response;
    }

    test('finds child runs that Temporal’s index does not show yet by the histories that name them', async () => {
      const shown = { execution: { workflowId: `${id}/shown`, runId: 'shown-1' } };
      const hourAgo = { seconds: Math.floor(now / 1_000) - 3_600, nanos: 0 };
      const times = { startTime: hourAgo, closeTime: hourAgo };
      const early = { execution: { workflowId: `${id}/early`, runId: 'early-1' }, ...times };
      const goesOn = { ...at(500), workflowExecutionContinuedAsNewEventAttributes: { newExecutionRunId: 'new-2' } };
      const histories: Record<string, object[][]> = {
        'execution-1': [
          [at(0), started('elsewhere', 'elsewhere-1'), started(`${id}/new`, 'new-1')],
          [started(`${id}/old`, 'old-1', 600_000)],
          [started(`${id}/older`, 'older-1', 700_000)],
        ],
        'new-1': [[goesOn]],
        'new-2': [[started(`${id}/new/below`, 'below-1')]],
        'shown-1': [[started(`${id}/shown/below`, 'below-2'), started(`${id}/shown`, 'shown-1')]],
      };
      const response = await erased([shown, early], (runId) => histories[runId] ?? []);
      expect(response.statusCode).toBe(204);
      const below = ['new/below below-1', 'shown/below below-2'];
      const others = ['shown shown-1', 'early early-1', 'new new-1', 'new new-2', ...below];
      const children = ['shown', 'early', 'new', 'new/below', 'shown/below'];
      expect(done.toSorted()).toEqual(
        [id, `${id} execution-1`, ...[...others, ...children].map((each) => `${id}/${each}`)].toSorted(),
      );
      expect(done.at(-1)).toBe(`${id} execution-1`);
      // What is older is in the index, and what has ended long ago has started nothing since.
      expect(asked.toSorted()).toEqual(
        ['execution-1 0', 'execution-1 1', 'new-1 0', 'new-2 0', 'below-1 0', 'shown-1 0', 'below-2 0'].toSorted(),
      );
    });

    test('erases nothing where there is more to look for than it looks for', async () => {
      const endless = Array.from({ length: 250 }, () => [at(0)]);
      const many = [1, 2, 3].map((i) => ({ execution: { workflowId: `${id}/${i}`, runId: `child-${i}` } }));
      const response = await erased(many, () => endless);
      expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
      expect(done).toEqual([]);
      expect(asked).toHaveLength(400);
      // The first twenty pages are in the turn of the erasure.
      expect(turns).toBe(20);
    });

    test('reads no history where there are more than it would come to', async () => {
      const many = Array.from({ length: 400 }, (_, i) => ({
        execution: { workflowId: `${id}/items[${i}]/child`, runId: `child-${i}` },
      }));
      const response = await erased(many, () => []);
      expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
      expect([asked, done]).toEqual([[], []]);
    });

    test('takes a turn for each further hundred executions that Temporal lists', async () => {
      expect((await erased([], () => [], 3)).statusCode).toBe(204);
      expect(turns).toBe(3);
    });

    test('finds a child that Temporal was starting as its parent ended, of which the history has the command only', async () => {
      const { client } = gateway.temporal;
      const command = (workflowId: string, agoMs = 2_000) => ({
        ...at(agoMs),
        startChildWorkflowExecutionInitiatedEventAttributes: { workflowId },
      });
      const described: string[] = [];
      const { getHandle } = client.workflow;
      client.workflow.getHandle = ((workflowId: string) => {
        const handle = getHandle(workflowId);
        const describe = async () => {
          if (workflowId.startsWith(`${id}/`)) described.push(workflowId);
          return workflowId === `${id}/late` ? { runId: 'late-1' } : await handle.describe();
        };
        return { ...handle, describe };
      }) as never;
      const shown = { execution: { workflowId: `${id}/shown`, runId: 'shown-1' } };
      const histories: Record<string, object[][]> = {
        'execution-1': [
          [started(`${id}/new`, 'new-1')],
          [command(`${id}/late`), command(`${id}/never`), command(`${id}/new`), command(`${id}/shown`)],
          [command('elsewhere'), command(`${id}/old`, 700_000)],
        ],
        'late-1': [[started(`${id}/late/below`, 'below-1')]],
      };
      expect((await erased([shown], (runId) => histories[runId] ?? [])).statusCode).toBe(204);
      expect(done).toContain(`${id}/late late-1`);
      expect(done).toContain(`${id}/late/below below-1`);
      // A child of which an event names the execution is not asked for.
      expect(described).toEqual([`${id}/late`, `${id}/never`]);
    });
  });

  test('reads no history of a run that ended long ago: its child runs are all in the index', async () => {
    const { client } = gateway.temporal;
    const run = gateway.temporal.only();
    run.end({ output: {}, stages: [] });
    run.closed = new Date(Date.now() - 600_000);
    const deleted: string[] = [];
    const workflowService = {
      listWorkflowExecutions: async () => ({
        executions: [{ execution: { workflowId: `${id}/inner`, runId: 'inner-1' } }],
        nextPageToken: new Uint8Array(),
      }),
      deleteWorkflowExecution: async (given: { workflowExecution: { workflowId: string } }) =>
        void deleted.push(given.workflowExecution.workflowId),
    };
    Object.assign(client.workflow, { workflowService });
    expect((await erase()).statusCode).toBe(204);
    expect(deleted).toEqual([`${id}/inner`, id]);
  });

  test('touches nothing once another erasure has removed the run, and the id has a new one', async () => {
    const { client } = gateway.temporal;
    gateway.temporal.only().end({ output: {}, stages: [] });
    const { getHandle } = client.workflow;
    let asked = 0;
    client.workflow.getHandle = ((workflowId: string) => {
      const handle = getHandle(workflowId);
      const describe = async () => ({
        ...(await handle.describe()),
        ...(workflowId === id && asked++ > 0 && { runId: 'later' }),
      });
      return { ...handle, describe };
    }) as never;
    const done: string[] = [];
    const deleteWorkflowExecution = async () => void done.push('history');
    const listWorkflowExecutions = async () => ({ executions: [], nextPageToken: new Uint8Array() });
    const workflowService = { ...withoutChildren, listWorkflowExecutions, deleteWorkflowExecution };
    Object.assign(client.workflow, { workflowService });
    const own = await testGateway({}, { temporal: client, erasure: { erase: async (run) => void done.push(run) } });
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect([asked, done]).toEqual([2, []]);
    await own.close();
  });

  test('is not for another tenant’s runs', async () => {
    gateway.temporal.only().end({ output: {}, stages: [] });
    const response = await erase({ 'millrace-tenant': 'other' });
    expect([response.statusCode, codeOf(response)]).toEqual([404, 'RUN_NOT_FOUND']);
  });
});
