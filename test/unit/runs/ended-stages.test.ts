import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, pipeline } from '../../../pipelines/index.js';
import type { StageRecord } from '../../../pipelines/run/index.js';
import { decisionsOf, endedStages } from '../../../runs/ended-stages.js';

const value = z.object({ n: z.any() });
const work = code('work', { input: value, output: value }, ({ n }) => ({ n }));

const { plan } = pipeline(
  'many',
  { input: z.object({ items: z.array(z.number()) }) },
  ({ input, stage, each, race }) => {
    const first = stage('first', work, { n: 1 });
    const loose = each('loose', input.items, (n) => stage('in-loose', work, { n }).n);
    const read = each('read', input.items, (n) => stage('in-read', work, { n }).n, { onFailure: 'drop' });
    const raced = race('raced', { a: () => stage('in-a', work, { n: 1 }).n, b: () => stage('in-b', work, { n: 2 }).n });
    const last = stage('last', work, { n: [first.n, read, raced.value] }, { optional: true });
    return { last: last.n, loose };
  },
);

const row = (stage: string, status: StageRecord['status'], more: Partial<StageRecord> = {}): StageRecord => ({
  stage,
  kind: 'code',
  connector: 'code',
  model: 'work',
  device: 'worker',
  status,
  ...more,
});

const inside = [row('in-loose', 'done'), row('in-read', 'done'), row('in-a', 'done'), row('in-b', 'cancelled')];

it('a loop or a race is over when what reads it has begun, and not when all that began in it has ended', () => {
  const rows = [row('first', 'done'), ...inside, row('last', 'waiting')];
  expect(endedStages(plan, rows)).toEqual(['first']);
  expect(endedStages(plan, [...rows.slice(0, -1), row('last', 'failed')])).toEqual([
    'first',
    'in-read',
    'in-a',
    'in-b',
  ]);
  expect(endedStages(plan, [...rows.slice(0, -1), row('last', 'cancelled')]), 'which may not have begun').toEqual([
    'first',
  ]);
});

it('a stage that was left out for good has ended, one whose turn has not come has not', () => {
  expect(endedStages(plan, [row('last', 'skipped', { instead: 'CODE_FAILED' })])).toEqual(['last']);
  expect(endedStages(plan, [row('last', 'skipped')])).toEqual([]);
  expect(endedStages(plan, [])).toEqual([]);
});

it('decisions are kept by where they were asked for', () => {
  const decision = { approved: true, by: 'ada', about: 'f00' };
  const rows = [row('first', 'done', { decisions: [{ path: 'items[1]/first', ...decision }] }), row('last', 'waiting')];
  expect(decisionsOf(rows)).toEqual({ 'items[1]/first': decision });
});

it('what an approval of the session has covered is no decision to go on with: it may be taken back', () => {
  const covered = {
    path: 'first/turn-1/pay:ab',
    approved: true,
    by: 'ada',
    about: 'f00',
    grantedAt: '2026-11-27T00:00:00.000Z',
  };
  expect(decisionsOf([row('first', 'failed', { decisions: [covered] })])).toEqual({});
});

it('what was changed or filled in may be left out of a large table: such a decision is asked for again', () => {
  const bare = { path: 'first', approved: true, by: 'ada' };
  expect(decisionsOf([row('first', 'done', { decisions: [bare], shortened: true })])).toEqual({});
});
