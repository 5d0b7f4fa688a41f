import type { Client } from '@temporalio/client';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { activity, code, pipeline, workflow } from '../../../../pipelines/index.js';
import { place } from '../../../../placement/place.js';
import { expectedWaitMs, queueStats } from '../../../../runs/admission/queue-stats.js';
import { queuesOf } from '../../../../runs/admission/queues-of.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one, version: '2' }, ({ n }) => ({ n: n + 1 }));
const { plan } = pipeline('adds', { input: one }, ({ input, stage }) => ({ n: stage('a', add, input).n }));

it('a version of a function waits in its own queue, or in that of bodies that stand in for it', () => {
  expect(
    queuesOf(
      plan,
      place(plan, () => undefined, 'millrace'),
      'millrace',
    ),
  ).toEqual([
    [{ name: 'millrace', type: 'workflow' }],
    [
      { name: 'millrace.code.add@2', type: 'activity' },
      { name: 'millrace.code.add@*', type: 'activity', standIn: true },
    ],
  ]);
});

it.each([
  ['that nobody serves is no way out', [], true, Number.POSITIVE_INFINITY],
  ['that a worker serves is one', [{ identity: 'w' }], true, 0],
  ['of its own is what it is, also while its worker is away', [], undefined, 0],
] as const)('an empty queue %s', async (_, pollers, standIn, wait) => {
  const temporal = {
    options: { namespace: 'default' },
    withDeadline: (_deadline: number, ask: () => unknown) => ask(),
    workflowService: { describeTaskQueue: async () => ({ pollers }) },
  } as unknown as Client;
  const queue = { name: 'q', type: 'activity', ...(standIn && { standIn }) } as const;
  expect(expectedWaitMs(await queueStats(temporal, queue), 3)).toBe(wait);
});

it('a stage of another worker waits in that worker’s queue, unless it has an alternative', () => {
  const use = (queue: string) => ({ queue, type: 't', input: z.object({}), output: z.null() });
  const { plan } = pipeline('foreign', { input: one }, ({ stage }) => {
    stage('a', activity(use('python')), {});
    stage('b', activity(use('away')), {}, { optional: true });
    stage('c', workflow(use('risk')), {});
    return {};
  });
  const placed = place(plan, () => undefined, 'millrace');
  expect(
    queuesOf(plan, placed, 'millrace')
      .flat()
      .map(({ name }) => name),
  ).toEqual(['millrace', 'python']);
});
