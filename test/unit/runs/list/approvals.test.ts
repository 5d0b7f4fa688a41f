import { expect, it } from 'vitest';
import { z } from 'zod';
import { approve, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { Caller } from '../../../../runs/caller.js';
import { type WaitingDeps, waitingRuns } from '../../../../runs/list/approvals.js';

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
