import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, codeStream, pipeline } from '../../../pipelines/index.js';
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

it('a loop is over when a loop behind it was cut off in the middle: what its rows have shows that it had begun', () => {
  const one = z.object({ n: z.number() });
  const same = code('same', { input: one, output: one }, ({ n }) => ({ n }));
  const { plan: chained } = pipeline(
    'chained',
    { input: z.object({ items: z.array(z.number()) }) },
    ({ input, stage, each }) => {
      const a = each('a', input.items, (n) => stage('s1', same, { n }).n, { onFailure: 'drop' });
      return { b: each('b', a, (n) => stage('s2', same, { n }).n) };
    },
  );
  const ended = (more: Partial<StageRecord>) => endedStages(chained, [row('s1', 'done'), row('s2', 'cancelled', more)]);
  expect(ended({}), 'a segment may only have held it').toEqual([]);
  expect(ended({ count: { done: 2, started: 5 } })).toEqual(['s1']);
  expect(ended({ endpoint: 'worker' })).toEqual(['s1']);
  expect(ended({ instead: 'CODE_FAILED' })).toEqual(['s1']);
  expect(ended({ calls: [{ turn: 1, name: 'pay', end: 'done' }] })).toEqual(['s1']);
  expect(ended({ decisions: [{ path: 'b[0]/s2', approved: true, by: 'ada' }] })).toEqual(['s1']);
});

it('a step that reads a stream has begun before the stream has ended: what makes it may not be over', () => {
  const text = z.object({ text: z.string() });
  const loud = code('loud', { input: text, output: text }, (input) => input);
  const none = z.object({});
  const words = codeStream('words', { input: none, entry: z.string() }, async function* () {
    yield 'apple';
  });
  const { plan: streamed } = pipeline('streamed', { input: none }, ({ stage, each }) => {
    const said = stage('said', words, {});
    const a = each('a', said.entries, (word) => stage('s1', loud, { text: word }).text);
    const b = each('b', a.entries, (word) => stage('s2', loud, { text: word }).text);
    return { last: stage('last', work, { n: b }).n };
  });
  const cut = [row('s1', 'cancelled'), row('s2', 'done', { count: { done: 2, started: 2 } })];
  expect(endedStages(streamed, cut)).toEqual([]);
  expect(endedStages(streamed, [...cut, row('last', 'failed')]), 'b has read all of it').toEqual(['s1', 's2']);
});

it('a stage that was left out for good has ended, one whose turn has not come has not', () => {
  // Its turn had come: the loop that it reads was over.
  const all = endedStages(plan, [row('last', 'skipped', { instead: 'CODE_FAILED' })]);
  expect(all).toEqual(['in-read', 'in-a', 'in-b', 'last']);
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
