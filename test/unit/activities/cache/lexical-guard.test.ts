import { describe, expect, it } from 'vitest';
import { differs } from '../../../../activities/cache/lexical-guard.js';
import {
  HELD_OUT_NEAR_MISSES,
  HELD_OUT_PARAPHRASES,
  NEAR_MISSES,
  PARAPHRASES,
  type QuestionPair,
} from '../../../support/question-pairs.js';

/** The start of the reason, and two texts that differ for it. */
const DIFFERENT: readonly [reason: string, ...QuestionPair][] = [
  ['negation', 'Is it safe to swim here?', "Isn't it safe to swim here?"],
  ['negation', 'Can you eat it cooked?', 'Can you never eat it cooked?'],
  ['negation', 'What should I do?', 'What shouldnt I do?'],
  ['negation', 'Tea with sugar, please.', 'Tea without sugar, please.'],
  ['word', 'Is this mushroom edible for you?', 'Is this mushroom inedible for you?'],
  ['numbers', 'What happened in 2023?', 'What happened in 2024?'],
  ['numbers', 'What is two plus three?', 'What is two plus four?'],
  ['numbers', 'When did world war one end?', 'When did world war two end?'],
  ['numbers', 'When did World War I end?', 'When did World War II end?'],
  ['numbers', 'What is 1.5 times 4?', 'What is 15 times 4?'],
  ['numbers', 'What is 5² plus 1?', 'What is 52 plus 1?'],
  ['numbers', 'Set it to 1½ cups.', 'Set it to 11/2 cups.'],
  ['numbers', 'What is 1,000 plus 1?', 'What is 1,0000 plus 1?'],
  ['numbers', 'Wake me up at 6:30 with music.', 'Wake me up at 6:45 with music.'],
  ['word', 'Is it -5 degrees outside of town?', 'Is it 5 degrees outside of town?'],
  ['word', 'Who was the first man there?', 'Who was the second man there?'],
  ['word', 'How do I learn C?', 'How do I learn C++?'],
  ['unit', 'How many miles is 5 km?', 'How many inches is 5 km?'],
  ['unit', 'What is 10 percent of 50 euros?', 'What is 10 percent of 50 dollars?'],
  ['time', 'Is the meeting at 5 am there?', 'Is the meeting at 5 pm there?'],
  ['time', 'What is the weather today?', 'What is the weather tomorrow?'],
  ['time', 'What do I do before dinner?', 'What do I do after dinner?'],
  ['name', 'Where does Ann live?', 'Where does Bob live?'],
  ['word', 'where does ann live', 'where does bob live'],
  ['name', 'How big is the US?', 'How big is the UK?'],
  ['name', 'What does IT mean for us?', 'What does it mean for us?'],
  ['capitals', 'How do I cook turkey?', 'How do I cook Turkey?'],
  ['word', 'What is the hottest planet?', 'What is the coldest planet?'],
  ['word', 'Turn up the volume.', 'Turn down the volume.'],
  ['word', 'Who is the tallest man?', 'Who is the oldest man?'],
  ['word', 'What does a lawyer do?', 'What is a lawyer?'],
  ['word', 'What is a cat like?', 'What does a cat like?'],
  ['focus', 'Where was Mozart born?', 'When was Mozart born?'],
  ['focus', 'How old is the tower?', 'How tall is the tower?'],
  ['focus', 'Do you know if it is open?', 'Do you know why it is open?'],
  ['focus', 'Tell me a joke.', 'What is a joke?'],
  ['tense', 'Who is the president?', 'Who was the president?'],
  ['tense', 'Who will the winner be?', 'Who is the winner?'],
  ['voice', 'Who was killed?', 'Who killed?'],
  ['count', 'Which country won the most medals?', 'Which countries won the most medals?'],
  ['order', 'Is Tom older than Ann?', 'Is Ann older than Tom?'],
  ['order', 'How do I get from Rome to Paris?', 'How do I get from Paris to Rome?'],
  ['order', 'What eats the snake?', 'What does the snake eat?'],
  ['order', 'Who taught Plato?', 'Who did Plato teach?'],
  ['person', 'How old am I?', 'How old are you?'],
  ['person', 'How do I find my phone?', 'How do I find a phone?'],
  ['article', 'What is time?', 'What is the time?'],
  ['language', '¿Quién llama a Juan?', '¿A quién llama Juan?'],
  ['language', 'What does "the" mean?', 'What does "a" mean?'],
  ['words', 'What is the?', 'What is?'],
];

const SAME: readonly QuestionPair[] = [
  ['What is the capital of France?', 'what is the capital of france'],
  ["What's the capital of France?", 'Whats the capital of France?'],
  ['What is the capital of France?', 'Do you know what the capital of France is?'],
  ['What is the capital of France?', "What is France's capital city?"],
  ['How many people live in the United States?', 'What is the population of the USA?'],
  ['How many legs does a spider have?', 'How many legs are there in a spider?'],
  ['Set a timer for twenty-five minutes.', 'Set a timer for 25 minutes.'],
  ['What happened in nineteen ninety eight?', 'What happened in 1998?'],
  ['What is one thousand two hundred and five plus 1?', 'What is 1,205 plus 1?'],
  ['When did the war end?', 'Tell me when the war ended.'],
  ['How do I turn the volume up?', 'How can I turn up the volume?'],
  ['Hello, how tall is the tower?', 'What is the height of the tower?'],
  ['How is the weather?', 'What is the weather like?'],
];

describe('lexical guard', () => {
  it.each(DIFFERENT)('%s: %s / %s', (reason, a, b) => {
    expect(differs(a, b)).toMatch(new RegExp(`^${reason}:`));
    expect(differs(b, a)).toBeDefined();
  });

  it.each(SAME)('same: %s / %s', (a, b) => {
    expect(differs(a, b)).toBeUndefined();
    expect(differs(b, a)).toBeUndefined();
  });

  it.each([...NEAR_MISSES, ...HELD_OUT_NEAR_MISSES])('near miss: %s / %s', (a, b) => {
    expect(differs(a, b)).toBeDefined();
    expect(differs(b, a)).toBeDefined();
  });

  it('lets most paraphrases pass', () => {
    const passing = (pairs: readonly QuestionPair[]) => pairs.filter(([a, b]) => differs(a, b) === undefined).length;
    expect(passing(PARAPHRASES)).toBeGreaterThanOrEqual(25);
    expect(passing(HELD_OUT_PARAPHRASES)).toBeGreaterThanOrEqual(17);
  });

  it('tells every two questions of different pairs apart', () => {
    const pairs = [...NEAR_MISSES, ...PARAPHRASES, ...HELD_OUT_NEAR_MISSES, ...HELD_OUT_PARAPHRASES];
    const texts = [...new Set(pairs.flat())];
    const related = new Set(pairs.flatMap(([a, b]) => [`${a}|${b}`, `${b}|${a}`]));
    // Three that stand in several pairs.
    const capital = /capital of France/;
    const same = texts.flatMap((a, i) =>
      texts
        .slice(i + 1)
        .filter((b) => !related.has(`${a}|${b}`) && !(capital.test(a) && capital.test(b)))
        .filter((b) => differs(a, b) === undefined)
        .map((b) => `${a} | ${b}`),
    );
    expect(same).toEqual([]);
  });

  it('is bounded on long and odd texts', () => {
    const odd = [
      'a '.repeat(5_000),
      '1,'.repeat(5_000),
      "x'".repeat(5_000),
      'a-'.repeat(200),
      'five hundred '.repeat(30),
    ];
    for (const text of [...odd, '', ' ', '?', '\ud800', '😀😀', "'s", '-'.repeat(400), "the 's of ".repeat(40)]) {
      const started = performance.now();
      expect(differs(text, text)).toBeUndefined();
      expect(differs(text, `${text}zebra`)).toBeDefined();
      expect(performance.now() - started).toBeLessThan(50);
    }
  });
});
