import { expect, it } from 'vitest';
import { z } from 'zod';
import { queuesOf } from '../../../../gateway/admission/queues-of.js';
import { code, pipeline } from '../../../../pipelines/index.js';
import { place } from '../../../../placement/place.js';

const one = z.object({ n: z.number() });

it('a version of a function waits in its own queue: those that nobody serves are empty, and no way out', () => {
  const add = code('add', { input: one, output: one, version: '2' }, ({ n }) => ({ n: n + 1 }));
  const { plan } = pipeline('adds', { input: one }, ({ input, stage }) => ({ n: stage('a', add, input).n }));
  const placement = place(plan, () => undefined, 'millrace');
  expect(placement.a?.elsewhere).toHaveLength(1);
  expect(queuesOf(plan, placement, 'millrace')).toEqual([
    [{ name: 'millrace', type: 'workflow' }],
    [{ name: 'millrace.code.add@2', type: 'activity' }],
  ]);
});
