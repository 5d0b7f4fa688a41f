import { describe, expect, it } from 'vitest';
import { differenceOf, formsOf } from '../../../../activities/cache/lexical-guard.js';
import { askedApart } from '../../../../activities/cache/verifier/asked.js';
import { FEATURES } from '../../../../activities/cache/verifier/features.js';
import { areOpposed, rarityOf, relationOf } from '../../../../activities/cache/verifier/thesaurus.js';
import { scoreOf } from '../../../../activities/cache/verifier/verifier.js';
import { WEIGHTS } from '../../../../activities/cache/verifier/weights.js';
import { boost } from '../../../../bench/cache/boost.js';
import { framePairs } from '../../../../bench/cache/frames.js';
import { readPairs } from '../../../../bench/cache/pairs.js';
import { mulberry32 } from '../../../../bench/random.js';
import { fastest } from '../../../support/fastest.js';

const score = (a: string, b: string, similarity: number): number => {
  const found = differenceOf(a, b);
  return found ? scoreOf(a, b, found, similarity) : 1;
};

describe('verifier', () => {
  it('was trained on the features that it is given', () => {
    expect(WEIGHTS.features).toEqual(FEATURES);
  });

  it('prefers other words for the same to other things', () => {
    const same = score('How do I get a fishing permit?', 'How can I obtain a fishing permit?', 0.95);
    const other = score('How do I get a fishing permit?', 'How can I get a hunting permit?', 0.8);
    expect(same).toBeGreaterThan(other + 0.3);
  });

  it('gives no score to a final difference', () => {
    const pairs = [
      ['Is it safe?', 'Is it not safe?'],
      ['How far is 5 km?', 'How far is 6 km?'],
      ['{"a": 1}', '{"a": 2}'],
    ] as const;
    for (const [a, b] of pairs) expect(score(a, b, 1)).toBe(0);
  });

  it('does not depend on the order of the two texts, and takes less than 10 ms', () => {
    const pairs = readPairs('bench/cache/sets/developer.jsonl');
    const times = pairs.map(({ a, b }) => {
      expect(score(b, a, 0.9)).toBeCloseTo(score(a, b, 0.9), 6);
      return fastest(() => score(a, b, 0.9), 3);
    });
    times.sort((a, b) => a - b);
    expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(10);
  });
});

describe('the thesaurus', () => {
  it('relates words in any of their forms, whichever comes first', () => {
    const pairs = [
      ['lawyers', 'attorney', 'same'],
      ['bought', 'purchase', 'same'],
      ['price', 'cost', 'near'],
      ['refrigerator', 'fridge', 'wider'],
      ['violin', 'cello', 'kin'],
      ['cancel', 'booking', undefined],
      ['xyzzy', 'lawyer', undefined],
    ] as const;
    for (const [a, b, relation] of pairs)
      expect([a, b, relationOf(a, b), relationOf(b, a)]).toEqual([a, b, relation, relation]);
  });

  it('knows opposites', () => {
    expect(areOpposed('best', 'worst') && areOpposed('excluded', 'includes')).toBe(true);
    expect(areOpposed('best', 'good')).toBe(false);
  });

  it('knows frequent words from rare ones', () => {
    expect(rarityOf('get')).toBeLessThan(rarityOf('violin'));
    expect(rarityOf('violins')).toBe(rarityOf('violin'));
    expect(rarityOf('xyzzy')).toBeGreaterThan(rarityOf('violin'));
  });
});

describe('what a question asks for', () => {
  it.each([
    [0, 'How do I get rid of hiccups?', 'What is the best way to get rid of hiccups?'],
    [0, 'Why do cats purr?', 'What is the reason that cats purr?'],
    [1, 'What is pesto made of?', 'Is pesto made of basil?'],
    [2, 'What is the best way to clean suede shoes?', 'What is the best place to clean suede shoes?'],
    [2, 'Why do cats purr?', 'How do cats purr?'],
    [2, 'What language is spoken in Brazil?', 'How many languages are spoken in Brazil?'],
  ] as const)('is told apart by its form: %i for %s %s', (apart, a, b) => {
    const forms = formsOf(a, b);
    expect(forms && [askedApart(forms[0], forms[1]), askedApart(forms[1], forms[0])]).toEqual([apart, apart]);
  });
});

describe('boosting', () => {
  it('learns a rule, the same from the same examples, and respects a sign', () => {
    const random = mulberry32(3);
    const examples = Array.from({ length: 400 }, () => {
      const row = [random(), random()];
      return { row, same: (row[0] as number) > 0.5 !== random() < 0.05, weight: 1 };
    });
    const options = { rounds: 20, depth: 2, rate: 0.3, leaf: 2, ridge: 1, monotone: [1, 0] as const };
    const forest = boost(examples, ['a', 'b'], options);
    expect(boost(examples, ['a', 'b'], options)).toEqual(forest);
    const against = boost(examples, ['a', 'b'], { ...options, monotone: [-1, 0] });
    const value = (trees: typeof forest, row: number[]) =>
      trees.trees.reduce<number>((sum, tree) => {
        let node = tree;
        while (typeof node !== 'number') node = (row[node[0]] as number) < node[1] ? node[2] : node[3];
        return sum + node;
      }, trees.bias);
    expect(value(forest, [0.9, 0.5])).toBeGreaterThan(value(forest, [0.1, 0.5]) + 2);
    expect(value(against, [0.9, 0.5])).toBeLessThanOrEqual(value(against, [0.1, 0.5]) + 0.6);
  });
});

describe('pairs from frames', () => {
  it('have the same question about one thing, and other questions or things otherwise', () => {
    const blocks = [
      '= How tall is @? | What is the height of @? | What height has @? | Of what height is @?\n- Who owns @? | Where is @?\n@ a fir | an elm | an oak',
    ];
    const pairs = framePairs(blocks, mulberry32(1));
    expect(pairs).toEqual(framePairs(blocks, mulberry32(1)));
    const thingIn = (text: string) => /a fir|an elm|an oak/.exec(text)?.[0];
    const asksHeight = (text: string) => /tall|height/.test(text);
    expect(pairs.length).toBe(18);
    for (const { a, b, same } of pairs) {
      expect(a).not.toBe(b);
      expect(same).toBe(thingIn(a) === thingIn(b) && asksHeight(a) && asksHeight(b));
    }
  });
});

describe('the developer’s set', () => {
  it('has at least 600 pairs of 25 kinds, and no pair of it is served wrong by the guard', () => {
    const pairs = readPairs('bench/cache/sets/developer.jsonl');
    expect(pairs.length).toBeGreaterThanOrEqual(600);
    expect(new Set(pairs.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(25);
    const wrong = pairs.filter(({ a, b, same }) => !same && differenceOf(a, b) === undefined);
    expect(wrong).toEqual([]);
  });
});
