import { describe, expect, it } from 'vitest';
import { labelled, ranked } from '../../../../activities/connectors/scores.js';

describe('scores of labels', () => {
  it('takes the label of the highest score, of equals the first', () => {
    expect(labelled([0.1, 0.7, 0.2], ['a', 'b', 'c'])).toEqual({
      label: 'b',
      score: 0.7,
      scores: { a: 0.1, b: 0.7, c: 0.2 },
    });
    expect(labelled([-3, -1, -1], ['a', 'b', 'c'])).toMatchObject({ label: 'b', score: -1 });
  });

  it.each([[[1]], [[1, 2, 3]], [[]]])('refuses %j for two labels', (scores) => {
    expect(() => labelled(scores, ['a', 'b'])).toThrow(
      expect.objectContaining({
        code: 'INVALID_OUTPUT',
        message: `output tensor SCORES: ${scores.length} scores for 2 labels (a, b)`,
      }),
    );
  });
});

describe('scores of passages', () => {
  const passages = ['a', 'b', 'c'].map((id) => ({ id, text: id.toUpperCase(), score: 9 }));
  const ids = (output: unknown) => (output as { passages: { id: string }[] }).passages.map(({ id }) => id);

  it('puts the best first, of equals the earlier, each with its new score', () => {
    expect(ranked([0, 2, 2], passages)).toEqual({
      passages: [
        { id: 'b', text: 'B', score: 2 },
        { id: 'c', text: 'C', score: 2 },
        { id: 'a', text: 'A', score: 0 },
      ],
    });
  });

  it('keeps the first of them', () => {
    expect(ids(ranked([1, 2, 3], passages, { top: 2 }))).toEqual(['c', 'b']);
    expect(ids(ranked([1, 2, 3], passages, { top: 10 }))).toEqual(['c', 'b', 'a']);
  });

  it('refuses another number of scores', () => {
    expect(() => ranked([1], passages)).toThrow('1 scores for 3 passages');
  });
});
