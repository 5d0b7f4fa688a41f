import { expect, it } from 'vitest';
import { z } from 'zod';
import { approve, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { Caller } from '../../../../runs/caller.js';
import { type WaitingDeps, waitingRuns } from '../../../../runs/list/approvals.js';
import { waitFor } from '../../../support/waits.js';

const review = pipeline('review', { input: z.object({ subject: z.string() }) }, ({ input, stage }) => ({
  approved: stage('sign-off', approve({ timeout: '1m' }), { subject: input.subject }).approved,
}));

it('the list of waits names the runs that no worker could be asked about', async () => {
  const away = async () => {
    throw new Error('no worker answers');
  };
  const deps = {
    pipelines: [review as unknown as Pipeline],
    list: { page: async () => ({ runs: [{ id: 'review-1' }, { id: 'review-2' }] }) },
    temporal: {
      withDeadline: async (_at: number, work: () => Promise<unknown>) => await work(),
      workflow: { getHandle: () => ({ query: away }) },
    },
  } as unknown as WaitingDeps;
  const page = await waitingRuns(deps, { tenant: 'acme' } as Caller, { filters: {}, limit: 50 });
  expect(page).toEqual({ runs: [], unknown: ['review-1', 'review-2'] });
});

it('the waits of a run and its child runs are listed in no more bytes together than those of one run', async () => {
  const children = Array.from({ length: 8 }, (_, i) => `review-1/items[${i}]/apart`);
  const waits = Array.from({ length: 40 }, (_, i) => ({ ...waitFor(`vote-${i}`), subject: 'x'.repeat(9_000) }));
  const deps = {
    pipelines: [review as unknown as Pipeline],
    list: { page: async () => ({ runs: [{ id: 'review-1' }] }) },
    temporal: {
      withDeadline: async (_at: number, work: () => Promise<unknown>) => await work(),
      workflow: {
        getHandle: (id: string) => ({
          query: async () => (id === 'review-1' ? [] : waits),
          describe: async () => ({
            raw: { pendingChildren: id === 'review-1' ? children.map((workflowId) => ({ workflowId })) : [] },
          }),
        }),
      },
    },
  } as unknown as WaitingDeps;
  const { runs } = await waitingRuns(deps, { tenant: 'acme' } as Caller, { filters: {}, limit: 50 });
  const found = runs[0]?.waiting ?? [];
  expect(found).toHaveLength(320);
  expect(found[0]).toMatchObject({ path: 'items[0]/apart/vote-0', shortened: true });
  expect(JSON.stringify(found).length).toBeLessThanOrEqual(1_000_000);
});
