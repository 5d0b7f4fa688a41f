import { describe, expect, it } from 'vitest';
import { addedBy } from '../../../../bench/agent/against/sides.js';
import { ANSWER } from '../../../../bench/agent/against/turn.js';
import { compactionOf, compactionsIn, recallOf } from '../../../../bench/agent/sessions/figures.js';

const turn = (inputTokens: number) => ({ isSummary: false, inputTokens, request: '' });
const summary = { isSummary: true, inputTokens: 900, request: '' };

describe('compactions', () => {
  it('are counted once for several summaries in a row, with the turns around them', () => {
    expect(compactionsIn([turn(100), turn(1_400), summary, summary, turn(500), turn(600)])).toEqual([
      { before: 1_400, after: 500 },
    ]);
    expect(compactionsIn([turn(100)])).toEqual([]);
    expect(compactionsIn([summary, turn(300), summary])).toEqual([
      { before: Number.NaN, after: 300 },
      { before: 300, after: Number.NaN },
    ]);
  });

  it('are told by conversation, with medians of those that have both sides', () => {
    const held = [[turn(1_000), summary, turn(400), turn(1_200), summary, turn(600), summary], [turn(5)]];
    expect(compactionOf(held.map((calls) => ({ calls, asked: [] })))).toEqual({
      perConversation: [3, 0],
      tokensBefore: 1_200,
      tokensAfter: 600,
    });
  });
});

it('tells what was kept, recalled, and could be recalled', () => {
  const asked = (request: string, answer: string, atOnce: string) => ({
    ...{ asks: '?', wordings: ['blue'], request, answer, atOnce },
  });
  const held = [
    { calls: [], asked: [asked('blue', 'It is blue.', 'Blue'), asked('blue', 'Red', 'blue')] },
    { calls: [], asked: [asked('', '', 'blue'), asked('so blue', 'blue', 'green')] },
  ];
  expect(recallOf(held)).toEqual({ facts: 4, kept: 0.75, recalled: 0.5, ceiling: 0.75, ofCeiling: 0.667 });
});

it('counts the time beside the two model calls, of the right answer only', () => {
  expect(addedBy({ ms: 263.5, text: ANSWER })).toBe(63.5);
  expect(() => addedBy({ ms: 263.5, text: 'Hello' })).toThrow('answered "Hello"');
});
