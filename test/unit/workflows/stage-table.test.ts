import { expect, it } from 'vitest';
import type { Graph, StagePlan } from '../../../pipelines/plan/index.js';
import type { StageOutcome } from '../../../pipelines/run/index.js';
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
