import { expect, test } from 'vitest';
import type { StageRecord } from '../../../pipelines/plan/index.js';
import { stageTableMarkdown } from '../../../workflows/interpreter/index.js';

const row = (stage: string, more: Partial<StageRecord>): StageRecord => ({
  ...{ stage, kind: 'chat', connector: 'openai', model: 'assistant', device: 'cpu0', status: 'running' },
  ...more,
});

test('the table is narrow: what an agent does stands below it, as it is', () => {
  const lines = stageTableMarkdown([
    row('hear', { status: 'done', cache: 'miss', attempt: 1, queueMs: 2, runMs: 30 }),
    row('answer', { doing: 'waits for a person: refund({"order":"`4711`"}), approve/answer/turn-2/refund' }),
  ]).split('\n');
  const cells = lines.map((line) => line.split('|').map((cell) => cell.replaceAll('\u00a0', '').trim()));
  expect(cells[0]?.slice(1, -1)).toEqual(['stage', 'served by', 'status', 'attempt', 'cache', 'queue ms', 'run ms']);
  expect(cells[2]?.slice(1, -1)).toEqual(['hear', 'openai · assistant @cpu0', 'done', '1', 'miss', '2', '30']);
  expect(cells[3]?.slice(1, -1)).toEqual(['answer', 'openai · assistant @cpu0', 'running', '', '', '', '']);
  expect(lines.slice(4)).toEqual([
    '',
    '- answer: `waits for a person: refund({"order":"\'4711\'"}), approve/answer/turn-2/refund`',
  ]);
});

test('where no agent is at work there is the table alone', () => {
  expect(stageTableMarkdown([row('hear', {})]).split('\n')).toHaveLength(3);
});
