import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { Caller } from '../../../../runs/caller.js';
import { type ListRequest, TemporalRunList } from '../../../../runs/list/index.js';
import { grpcError } from '../../../support/fake-temporal.js';

const MEMO = {
  tenant: 'acme',
  pipeline: 'ask',
  version: '0123456789ab',
  createdAt: '2026-11-26T07:00:00.000Z',
  fingerprint: 'f',
};
const row = (id: string, status: number, memo: JsonObject = {}, closed?: number) => ({
  execution: { workflowId: id, runId: `execution of ${id}` },
  status,
  memo: {
    fields: Object.fromEntries(
      Object.entries({ ...MEMO, ...memo }).map(([name, value]) => [name, defaultPayloadConverter.toPayload(value)]),
    ),
  },
  ...(closed !== undefined && { closeTime: { seconds: closed, nanos: 5_500_000 } }),
});

type Page = Error | { rows?: object[]; next?: string };

/** Temporal's visibility, which answers with pages in turn. */
function visibilityOf(secret: (() => Promise<Buffer>) | undefined, ...pages: Page[]) {
  const queries: { query: string; pageSize: number; nextPageToken?: Uint8Array }[] = [];
  const client = {
    options: {
      namespace: 'default',
      loadedDataConverter: { payloadConverter: defaultPayloadConverter, payloadCodecs: [] },
    },
    withDeadline: async <T>(_: number, work: () => Promise<T>) => await work(),
    workflow: {
      workflowService: {
        listWorkflowExecutions: async (question: (typeof queries)[number]) => {
          queries.push(question);
          const page = pages.shift() ?? {};
          if (page instanceof Error) throw page;
          return { executions: page.rows ?? [], nextPageToken: Buffer.from(page.next ?? '') };
        },
      },
    },
  } as unknown as Client;
  const uiUrl = (id: string, run?: string) => `http://ui/${id}/${run}`;
  return { queries, list: new TemporalRunList({ temporal: client, uiUrl, ...(secret && { secret }) }) };
}
const visibility = (...pages: Page[]) => visibilityOf(undefined, ...pages);

const acme: Caller = { tenant: 'acme' };
const all: ListRequest = { filters: {}, limit: 20 };

test('a page has runs as their documents have them, without what would have to be asked for', async () => {
  const { list } = visibility({
    rows: [row('ask-1', 1), row('ask-2', 2, { resumedFrom: 'ask-0' }, 1_795_676_400)],
  });
  expect(await list.page(acme, all)).toEqual({
    runs: [
      {
        id: 'ask-1',
        pipeline: 'ask',
        version: '0123456789ab',
        tenant: 'acme',
        status: 'running',
        createdAt: '2026-11-26T07:00:00.000Z',
        links: { self: '/v1/runs/ask-1', ui: 'http://ui/ask-1/execution of ask-1' },
      },
      {
        id: 'ask-2',
        pipeline: 'ask',
        version: '0123456789ab',
        tenant: 'acme',
        status: 'succeeded',
        createdAt: '2026-11-26T07:00:00.000Z',
        endedAt: '2026-11-26T07:00:00.005Z',
        resumedFrom: 'ask-0',
        links: { self: '/v1/runs/ask-2', ui: 'http://ui/ask-2/execution of ask-2' },
      },
    ],
  });
});

test('every end that Temporal knows is one of a run', async () => {
  const { list } = visibility({ rows: [1, 2, 3, 4, 5, 7].map((status) => row(`ask-${status}`, status)) });
  const { runs } = await list.page(acme, all);
  expect(runs.map(({ status }) => status)).toEqual([
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'failed', // terminated
    'failed', // timed out
  ]);
});

test('what is not the caller’s, or no run, is left out whatever Temporal answers', async () => {
  const rows = [row('ask-1', 1, { tenant: 'other' }), row('tell-1', 1, { pipeline: 'tell' }), row('ask-2', 1)];
  const foreign = { ...row('ask-3', 1), memo: null };
  const { list, queries } = visibility({ rows: [...rows, foreign] });
  const { runs } = await list.page({ ...acme, pipelines: ['ask'] }, all);
  expect(runs.map(({ id }) => id)).toEqual(['ask-2']);
  expect(queries[0]?.query).toContain("MillraceTenant = 'acme'");
  expect(queries[0]?.query).toContain("MillracePipeline IN ('ask')");
});

test.each([
  ['of which none is asked for', { pipelines: ['ask'] }, { pipeline: 'tell' }],
  ['that can be none', { pipelines: ["x' OR 'a' = 'a"] }, {}],
])('a caller with pipelines %s gets an empty list, and Temporal no question', async (_, caller, filters) => {
  const { list, queries } = visibility({ rows: [row('tell-1', 1)] });
  expect(await list.page({ ...acme, ...caller }, { filters, limit: 20 })).toEqual({ runs: [] });
  expect(queries).toEqual([]);
});

describe('a cursor', () => {
  const paged = () => visibility({ next: 'place' }, {});
  const filters = { pipeline: 'ask' };

  test('goes on where the page has ended, whatever the number of rows', async () => {
    const { list, queries } = paged();
    const { nextCursor } = await list.page(acme, { filters, limit: 2 });
    expect(await list.page(acme, { filters, limit: 50, cursor: nextCursor as string })).toEqual({ runs: [] });
    expect(queries.map(({ pageSize, nextPageToken }) => [pageSize, nextPageToken && String(nextPageToken)])).toEqual([
      [2, undefined],
      [50, 'place'],
    ]);
    expect(new Set(queries.map(({ query }) => query)).size).toBe(1);
  });

  const other = (cursor: string) => Buffer.from(cursor, 'base64url');
  test.each<[what: string, caller: Caller, filters: object, change: (cursor: string) => string]>([
    ['of another tenant', { tenant: 'other' }, filters, (cursor) => cursor],
    ['of other filters', acme, { pipeline: 'tell' }, (cursor) => cursor],
    ['of none', acme, {}, (cursor) => cursor],
    [
      'with another place',
      acme,
      filters,
      (cursor) => Buffer.concat([other(cursor), Buffer.from('!')]).toString('base64url'),
    ],
    [
      'with another seal',
      acme,
      filters,
      (cursor) => Buffer.from(other(cursor).map((byte, i) => (i ? byte : byte ^ 1))).toString('base64url'),
    ],
    ['of nothing but a place', acme, filters, () => Buffer.from('{"RunID":"x"}').toString('base64url')],
  ])('%s is refused, and Temporal does not see it', async (_, caller, wanted, change) => {
    const { list, queries } = paged();
    const { nextCursor = '' } = await list.page(acme, { filters, limit: 2 });
    const refused = list.page(caller, { filters: wanted, limit: 2, cursor: change(nextCursor) });
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { fields: [{ field: 'cursor' }] } });
    expect(queries).toHaveLength(1);
  });

  test('of another gateway holds where both have the secret, and not elsewhere', async () => {
    const secret = async () => Buffer.from('shared');
    const { nextCursor: cursor = '' } = await visibilityOf(secret, { next: 'place' }).list.page(acme, all);
    expect(await visibilityOf(secret).list.page(acme, { ...all, cursor })).toEqual({ runs: [] });
    await expect(visibility().list.page(acme, { ...all, cursor })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

test('a tenant that asks too often is told so; others are not', async () => {
  const { list, queries } = visibility();
  const answers = await Promise.allSettled(Array.from({ length: 30 }, () => list.page(acme, all)));
  const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
  expect(refused).toHaveLength(20);
  expect(refused[0]).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterMs: expect.any(Number) } });
  expect(queries).toHaveLength(10);
  expect(await list.page({ tenant: 'other' }, all)).toEqual({ runs: [] });
});

test('a Temporal that does not answer is told as such', async () => {
  const { list } = visibility(grpcError(14, 'unavailable'), grpcError(8, 'namespace rate limit exceeded'));
  await expect(list.page(acme, all)).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
  await expect(list.page(acme, all)).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
});
