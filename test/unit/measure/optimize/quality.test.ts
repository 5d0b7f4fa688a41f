import { describe, expect, it } from 'vitest';
import { readEvaluation } from '../../../../measure/optimize/evaluation.js';
import { qualityOf, questionsOf, rankCorrelation } from '../../../../measure/optimize/quality.js';

const example = (input: string, ...expected: readonly string[]) => ({ input, expected });

describe('the quality of transcripts', () => {
  const spoken = [example('a.wav', 'the cat sat on the mat'), example('b.wav', 'Hello, world!')];

  it('is one less the word error rate, without case and signs', () => {
    const { quality, of } = qualityOf(
      'transcribe',
      spoken,
      ['The cat sat on mat.', 'hello world'],
      ['x', 'hello world'],
    );
    expect(of.wordErrors).toBeCloseTo(1 / 8);
    expect(quality).toBeCloseTo(7 / 8);
    expect(of.agreed).toBe(0.5);
  });

  it('counts words that are missing, added and changed, and is never below zero', () => {
    const { of, quality } = qualityOf('transcribe', [example('a', 'one two')], ['three four five six seven'], ['']);
    expect(of.wordErrors).toBe(2.5);
    expect(quality).toBe(0);
    expect(qualityOf('transcribe', [example('a', 'one two')], [''], ['']).of.wordErrors).toBe(1);
  });

  it('is agreement with the original where nothing is expected', () => {
    expect(qualityOf('transcribe', [example('a')], ['one two'], ['one two']).quality).toBe(1);
    expect(qualityOf('transcribe', [example('a')], ['one'], ['one two']).quality).toBe(0.5);
  });
});

describe('the quality of an LLM’s answers', () => {
  it('is the share that mentions one of the expected words as a whole', () => {
    const asked = [example('a', '4', 'four'), example('b', 'Paris'), example('c', 'ice')];
    const { quality, of } = qualityOf('chat', asked, ['It is four.', 'Paris!', 'nice'], ['It is four', 'Rome', 'nice']);
    expect(quality).toBeCloseTo(2 / 3);
    expect(of.agreed).toBeCloseTo(2 / 3);
  });

  it('is the share that agrees with the original where nothing is expected', () => {
    expect(qualityOf('chat', [example('a'), example('b')], ['x', 'y'], ['X.', 'z']).quality).toBe(0.5);
  });
});

describe('the quality of vectors', () => {
  const pairs = [example('q1', 'p1'), example('q2', 'p2')];

  it('is the share of inputs whose passage is the nearest of all', () => {
    expect(questionsOf('embed', pairs)).toEqual(['q1', 'q2', 'p1', 'p2']);
    const original = [
      [1, 0],
      [0, 1],
      [1, 0.1],
      [0.1, 1],
    ];
    expect(qualityOf('embed', pairs, original, original)).toMatchObject({ quality: 1, of: { cosine: 1, rank: 1 } });
    const turned = [
      [1, 0],
      [1, 0.2],
      [1, 0.1],
      [0.1, 1],
    ];
    const { quality, of } = qualityOf('embed', pairs, turned, original);
    expect(quality).toBe(0.5);
    expect(of.cosine).toBeLessThan(0.9);
  });

  it('is how alike all pairs are ranked where there are no passages', () => {
    const original = [
      [1, 0],
      [1, 1],
      [0, 1],
    ];
    const alone = [example('a'), example('b'), example('c')];
    expect(qualityOf('embed', alone, original, original).quality).toBe(1);
    expect(
      qualityOf(
        'embed',
        alone,
        [
          [1, 0],
          [-1, 1],
          [1, 0.1],
        ],
        original,
      ).quality,
    ).toBeLessThan(1);
  });
});

it('ranks equal values alike', () => {
  expect(rankCorrelation([1, 2, 3], [10, 20, 30])).toBeCloseTo(1);
  expect(rankCorrelation([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1);
  expect(rankCorrelation([1, 1, 2, 2], [1, 1, 2, 2])).toBeCloseTo(1);
  expect(rankCorrelation([1], [2])).toBe(1);
});

describe('an evaluation set', () => {
  it('is lines of JSON, with one, several or no expected answers', () => {
    const text = '{"input":"a","expected":"b"}\n\n{"input":"c","expected":["d","e"]}\n{"input":"f"}\n';
    expect(readEvaluation(text, 'd.jsonl')).toEqual([example('a', 'b'), example('c', 'd', 'e'), example('f')]);
  });

  it.each([
    ['{"input":"a"}\nnot json', 'd.jsonl:2'],
    ['{"text":"a"}', 'd.jsonl:1: input: give the text'],
    ['{"input":"a","expected":[]}', 'd.jsonl:1: expected'],
    ['{"input":"a","expect":"b"}', 'd.jsonl:1'],
    ['\n', 'd.jsonl: has no line'],
    ['{"input":"a"}\n'.repeat(1_001), 'at most 1000'],
  ])('is refused with its line: %j', (text, message) => {
    expect(() => readEvaluation(text, 'd.jsonl')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    expect(() => readEvaluation(text, 'd.jsonl')).toThrow(message);
  });
});
