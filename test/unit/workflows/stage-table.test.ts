import { describe, expect, it } from 'vitest';
import type { Json } from '../../../pipelines/json.js';
import { bytesOf } from '../../../pipelines/json-limits.js';
import type { Graph, StagePlan } from '../../../pipelines/plan/index.js';
import type { StageDecision, StageOutcome, StageRecord } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { fittingRows } from '../../../workflows/interpreter/index.js';
import { rowsBeside, rowsOfFailure } from '../../../workflows/interpreter/sizes.js';
import { StageTable } from '../../../workflows/interpreter/stage-table.js';

const outcome = {
  output: {},
  endpoint: '',
  device: '',
  attempt: 1,
  cache: 'off',
  queueMs: 0,
  runMs: 0,
} as StageOutcome;
const graph: Graph = {
  stages: [{ id: 'speak', kind: 'code', model: 'speak', with: {}, input: {}, policy: {} } as unknown as StagePlan],
  output: null,
};
const placement = { speak: { connector: 'code', device: 'worker', queue: 'q' } };
const tableOf = () => new StageTable(graph, placement, () => undefined);
const shown = (table: StageTable) => table.rows.map(({ status, count }) => [status, count]);

it('takes a start back as if it had not been', () => {
  const table = tableOf();
  table.withdraw('speak');
  expect(shown(table)).toEqual([['waiting', undefined]]);
  table.start('speak');
  table.withdraw('speak');
  expect(shown(table)).toEqual([['waiting', undefined]]);
  table.start('speak');
  table.finish('speak', outcome);
  expect(shown(table)).toEqual([['done', undefined]]);
});

it('keeps the last 50 calls of an agent, and how many before them are done', () => {
  const table = tableOf();
  for (let turn = 1; turn <= 60; turn++) {
    const end = turn === 2 ? 'failed' : 'done';
    table.called('speak', [{ turn, name: turn === 1 ? 'find' : 'pay', end }]);
  }
  const { calls = [], earlierCalls } = table.rows[0] ?? {};
  expect([calls.length, calls[0]?.turn, earlierCalls]).toEqual([50, 11, { find: 1, pay: 8 }]);
});

it('takes back one of several starts', () => {
  const table = tableOf();
  table.start('speak');
  table.finish('speak', outcome);
  table.start('speak');
  table.cancel('speak');
  table.withdraw('speak');
  expect(shown(table)).toEqual([['done', undefined]]);
  table.start('speak');
  table.start('speak');
  table.withdraw('speak');
  table.finish('speak', outcome);
  expect(shown(table)).toEqual([['done', { done: 2, started: 2 }]]);
});

describe('a stage that is started several times', () => {
  const failure = new StageError('BACKEND_REJECTED', 'no');
  /** Starts one after the other; whether each succeeds. */
  const ran = (ends: readonly boolean[]) => {
    const table = tableOf();
    for (const succeeds of ends) {
      table.underWay('speak', 1);
      table.start('speak');
      if (succeeds) table.finish('speak', outcome);
      else table.fail('speak', failure);
      table.underWay('speak', -1);
    }
    return table;
  };

  it('is running while a start of it is under way, and not because one has failed', () => {
    const table = ran([true, false, true]);
    expect(shown(table)).toEqual([['done', { done: 2, started: 3 }]]);
    for (let i = 0; i < 2; i++) {
      table.underWay('speak', 1);
      table.start('speak');
    }
    table.finish('speak', outcome);
    table.underWay('speak', -1);
    expect(shown(table)).toEqual([['running', { done: 3, started: 5 }]]);
    table.finish('speak', outcome);
    expect(shown(table)).toEqual([['done', { done: 4, started: 5 }]]);
  });

  it.each([
    ['in the middle', [true, false, true]],
    ['at the end', [true, true, false]],
  ])('is done in a run that has succeeded if one of them failed %s, and keeps no error', (_, ends) => {
    const table = ran(ends);
    table.close('done');
    expect(shown(table)).toEqual([['done', { done: 2, started: 3 }]]);
    expect(table.rows[0]?.error).toBeUndefined();
  });

  it('has failed if none of them has succeeded', () => {
    const table = ran([false, false]);
    table.close('done');
    expect(shown(table)).toEqual([['failed', { done: 0, started: 2 }]]);
  });

  /** Starts one after the other: whether each succeeds, fails and is skipped, or is skipped without a start. */
  const optional = (ends: readonly ('succeeds' | 'fails' | 'is not started')[]) => {
    const table = tableOf();
    for (const end of ends) {
      if (end !== 'is not started') table.start('speak');
      if (end === 'succeeds') table.finish('speak', outcome);
      if (end === 'fails') table.fail('speak', failure);
      if (end !== 'succeeds') table.skip('speak', end === 'fails' ? failure.code : 'degraded');
    }
    table.close('done');
    return table;
  };

  it.each([
    ['succeeds', 'fails'],
    ['fails', 'succeeds'],
  ] as const)('is done if it may be skipped and first %s, then %s', (first, second) => {
    const table = optional([first, second]);
    expect(shown(table)).toEqual([['done', { done: 1, started: 2 }]]);
    expect(table.rows[0]?.error).toBeUndefined();
    expect(table.rows[0]?.instead).toBeUndefined();
  });

  it.each([
    ['succeeds', 'is not started'],
    ['is not started', 'succeeds'],
  ] as const)('counts no start if it was skipped without one: it %s, then it %s', (first, second) => {
    expect(shown(optional([first, second]))).toEqual([['done', undefined]]);
  });

  it('is skipped if it never succeeded, with each of its starts', () => {
    expect(shown(optional(['fails', 'fails']))).toEqual([['skipped', { done: 0, started: 2 }]]);
    expect(shown(optional(['fails']))).toEqual([['skipped', undefined]]);
  });

  it('is done after a new history too, to which an earlier release carried it as running', () => {
    const table = tableOf();
    const [row] = table.rows;
    table.take([{ ...(row as StageRecord), status: 'running', count: { done: 2, started: 3 } }]);
    table.close('done');
    expect(shown(table)).toEqual([['done', { done: 2, started: 3 }]]);
  });

  it('stays as it is where a segment did not come to it', () => {
    const table = ran([true]);
    const [row] = tableOf().rows;
    table.take([row as StageRecord]);
    table.take([{ ...(row as StageRecord), status: 'skipped' }]);
    expect(shown(table)).toEqual([['done', undefined]]);
  });

  it('stays done if a segment skips it without a start', () => {
    const [row] = optional(['is not started']).rows;
    const table = ran([true]);
    table.take([row as StageRecord]);
    expect(shown(table)).toEqual([['done', undefined]]);
    const failed = ran([false]);
    failed.take([row as StageRecord]);
    expect(failed.rows[0]).toMatchObject({ status: 'skipped', instead: 'degraded' });
  });
});

describe('the decisions in the table', () => {
  const bytes = (rows: readonly StageRecord[]) => bytesOf(rows as unknown as Json);
  const decided = (i: number, more: Partial<StageDecision> = {}): StageDecision => ({
    ...{ path: `items[${i}]/speak`, approved: true, by: 'ada', about: 'f00' },
    ...more,
  });
  const last = (table: StageTable) => table.rows[0]?.decisions ?? [];

  it('are all kept where they are small, more than fifty too', () => {
    const table = tableOf();
    for (let i = 0; i < 400; i++) table.decided('speak', decided(i));
    expect(last(table)).toEqual(Array.from({ length: 400 }, (_, i) => decided(i)));
    expect(table.rows[0]?.shortened).toBeUndefined();
  });

  it('have a largest size: older ones lose what was filled in, and what they are about with it', () => {
    const table = tableOf();
    const content = { text: '字'.repeat(15_900) };
    for (let i = 0; i < 200; i++) table.decided('speak', decided(i, { content }));
    expect(bytes(table.rows)).toBeLessThan(310_000);
    const decisions = last(table);
    expect(decisions).toHaveLength(200);
    expect(decisions.at(-1)).toEqual(decided(199, { content }));
    expect(decisions[0]).toEqual({ path: 'items[0]/speak', approved: true, by: 'ada' });
    expect(table.rows[0]?.shortened).toBe(true);
  });

  it('are left out from the oldest on, but those that cover later calls', () => {
    const table = tableOf();
    table.decided('speak', decided(0, { scope: 'run', tool: 'pay', content: { text: 'x' } }));
    for (let i = 1; i < 3_000; i++) table.decided('speak', decided(i, { reason: 'x'.repeat(200) }));
    expect(bytes(table.rows)).toBeLessThan(310_000);
    expect(last(table)[0]).toEqual({ path: 'items[0]/speak', approved: true, by: 'ada', scope: 'run', tool: 'pay' });
    expect(last(table).at(-1)?.path).toBe('items[2999]/speak');
    expect(table.standing('speak', 'pay')).toHaveLength(1);
    expect(table.rows[0]?.shortened).toBe(true);
  });
});

describe('the table beside an output', () => {
  const row = (more: Partial<StageRecord>): StageRecord => ({
    ...{ stage: 'speak', kind: 'agent', connector: 'openai', model: 'm', device: 'd', status: 'done' },
    ...more,
  });
  const calls = Array.from({ length: 50 }, (_, turn) => ({ turn, name: 'look_up', end: 'done' }));
  const many = Array.from({ length: 400 }, (_, i) => row({ stage: `s${i}`, calls }));

  it('is as it is where it is small', () => {
    const rows = [row({ calls })];
    expect(rowsBeside({}, rows)).toBe(rows);
    expect(fittingRows(rows, 10_000)).toBe(rows);
  });

  it('loses the calls of its agents where both would be more than a result', () => {
    const rows = rowsBeside({ text: 'x'.repeat(1_400_000) }, many);
    expect(bytesOf(rows as unknown as Json)).toBeLessThan(500_000);
    expect(rows[7]).toEqual(row({ stage: 's7', shortened: true }));
  });

  it('loses conversions as well, which no run that resumes it needs: those rows are not marked', () => {
    expect(fittingRows([row({ conversions: ['to mono'] })], 0)).toEqual([row({})]);
  });

  it('fails the run where it is too large without them, and is left out of a failure then', () => {
    const error = { code: 'CODE_FAILED', message: 'x'.repeat(6_000) };
    const large = many.map((each) => ({ ...each, error }));
    expect(() => rowsBeside({}, large)).toThrow(expect.objectContaining({ code: 'RESULT_TOO_LARGE' }));
    expect(rowsOfFailure(large)).toBeUndefined();
    expect(rowsOfFailure(many)).toHaveLength(400);
  });
});
