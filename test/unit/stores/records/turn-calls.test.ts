import { expect, it } from 'vitest';
import { callOf, ended, recording } from './recording.js';

it('the summary of a record tells which calls of an agent it has, by turn and tool', async () => {
  const { records } = recording();
  const digest = '0123456789ab';
  const kept = [
    'answer/session/load',
    'items[0]/answer/turn-1',
    'answer/turn-2-checked-again',
    `answer/turn-2/refund:${digest}`,
    `answer/turn-2/refund[2]:${digest}`,
    `answer/turn-2/refund:${digest}/result`,
    `answer/turn-3/book:${digest}`,
    `answer/turn-3/book:${digest}/answers-1:${digest}`,
    'answer/results-old-3',
    'answer/summary-3-2',
  ];
  for (const path of kept) await records.keep(ended('run', callOf({ stage: 'answer', path }), {}, { text: path }));
  await records.keep(ended('run', callOf({ stage: 'answer', path: 'answer/turn-4' }), {}, 'BACKEND_REJECTED'));
  await records.keep(ended('run', callOf(), {}, { text: 'Paid.' }));
  expect(await records.summary('run')).toEqual({
    succeeded: new Map([
      ['answer', kept.length],
      ['pay', 1],
    ]),
    turns: new Map([['answer', new Map(Object.entries({ 1: 1, 2: 1, '2/refund': 2, '3/book': 1 }))]]),
    gaps: 0,
  });
});
