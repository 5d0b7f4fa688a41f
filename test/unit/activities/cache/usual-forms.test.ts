import { describe, expect, it } from 'vitest';
import { differenceOf, differs } from '../../../../activities/cache/lexical-guard.js';
import type { QuestionPair } from '../../../support/question-pairs.js';

/** What a rule merges, and what stands beside it that the rule must keep apart. */
const RULES: readonly (readonly [rule: string, same: readonly QuestionPair[], differ: readonly QuestionPair[]])[] = [
  [
    'a place in front of a question with one at its end, where nothing else could stand there',
    [
      ['On the menu, what is vegan?', 'What is vegan on the menu?'],
      ['In Germany, can I drive?', 'Can I drive in Germany?'],
    ],
    [
      ['In Turkey, can I use a phone I bought?', 'Can I use a phone I bought in Turkey?'],
      ['In Germany, how do I claim a pension earned?', 'How do I claim a pension earned in Germany?'],
      ['At work, how do I prove I was injured?', 'How do I prove I was injured at work?'],
      ['At work, who thinks I sleep?', 'Who thinks I sleep at work?'],
      ['In Java, how do I convert a program?', 'How do I convert a program in Java?'],
      ['On Windows, how do I open a file saved?', 'How do I open a file saved on Windows?'],
      ['In English, what is a poem?', 'What is a poem in English?'],
      ['At sea, what is the law on a crime planned?', 'What is the law on a crime planned at sea?'],
      ['In Spain, which bank accepts a house?', 'Which bank accepts a house in Spain?'],
    ],
  ],
  [
    'British and American spellings',
    [
      ['Summarise the plot of the film', 'Summarize the plot of the film'],
      ['How do I analyse a blood test?', 'How do I analyze a blood test?'],
      ['Who are the neighbours of Chad?', 'Who are the neighbors of Chad?'],
      ['What is the travelling time?', 'What is the traveling time?'],
      ['What does a paediatrician do?', 'What does a pediatrician do?'],
      ['How many litres are in a barrel?', 'How many liters are in a barrel?'],
      ['Where is the theatre?', 'Where is the theater?'],
    ],
    [
      ['What is a metre?', 'What is a meter?'],
      ['What is rigour?', 'What is rigor?'],
      ['What is savoury?', 'What is savory?'],
      ['What is the prise?', 'What is the prize?'],
      ['What does it apprise?', 'What does it apprize?'],
      ['Is colour British?', 'Is color British?'],
      ['Is organise the correct form?', 'Is organize the correct form?'],
      ['How big is the Centre?', 'How big is the Center?'],
      ['Grey was who?', 'Gray was who?'],
      ['What is the curb for?', 'What is the kerb for?'],
      ['Which programme should I watch?', 'Which program should I watch?'],
    ],
  ],
  [
    'words with and without a hyphen',
    [
      ['What is the wifi password?', 'What is the Wi-Fi password?'],
      ['Can I change my e-mail?', 'Can I change my email?'],
      ['When is check-out?', 'When is checkout?'],
    ],
    [
      ['Should I re-sign it?', 'Should I resign it?'],
      ['What is a re-creation?', 'What is a recreation?'],
      ['What is e-mail?', 'What is email?'],
      ['Is e-mail or email correct?', 'Is email or email correct?'],
      ['Did they re-cover it?', 'Did they recover it?'],
    ],
  ],
  [
    'the order of what is the same in both directions',
    [
      ['What is the difference between a frog and a toad?', 'What is the difference between a toad and a frog?'],
      ['Difference between jam and jelly', "What's the difference between jelly and jam?"],
      ['What is the distance between Oslo and Bergen?', 'What is the distance between Bergen and Oslo?'],
      ['Which is cheaper, gas or wood?', 'Which is cheaper, wood or gas?'],
      [
        'What is the difference between a method and a function?',
        'What is the difference between a function and a method?',
      ],
      ['Which query is faster, join or union?', 'Which query is faster, union or join?'],
    ],
    [
      ['What is the difference between 9 and 4?', 'What is the difference between 4 and 9?'],
      ['What is the difference between x and y?', 'What is the difference between y and x?'],
      ['What is the ratio between men and women?', 'What is the ratio between women and men?'],
      ['What is the difference between set A and set B?', 'What is the difference between set B and set A?'],
      [
        'What is the difference between a cat in Peru and a dog?',
        'What is the difference between a dog in Peru and a cat?',
      ],
      ['Is red meat or fish better?', 'Is red fish or meat better?'],
      ['Which do I do, wash or dry first?', 'Which do I do, dry or wash first?'],
      ['Do I save and close?', 'Do I close and save?'],
      ['What is the flight from Rome to Oslo?', 'What is the flight from Oslo to Rome?'],
      ['Subtract the difference between cost and price', 'Subtract the difference between price and cost'],
      ['What is the conversion between feet and metres?', 'What is the conversion between metres and feet?'],
      [
        'What is the difference between not eating and fasting?',
        'What is the difference between eating and not fasting?',
      ],
    ],
  ],
  [
    'how to do a task',
    [
      ['How do I permanently delete my account?', 'How can I permanently delete my account?'],
      ['How do I make a cake?', 'How to make a cake?'],
      ['How do I apply?', 'How can I apply?'],
      ['How do I get rid of ants?', 'How to get rid of ants?'],
      ['How do I measure a room?', 'How can I measure a room?'],
    ],
    [
      ['How do I learn best?', 'How can I learn best?'],
      ['How do I get sick?', 'How can I get sick?'],
      ['How do I get treated at work?', 'How can I get treated at work?'],
      ['How do I use oxygen?', 'How can I use oxygen?'],
      ['How do I generate body heat?', 'How can I generate body heat?'],
      ['How do I win if I lose?', 'How can I win if I lose?'],
      ['How do I find him?', 'How can I find him?'],
      ['How do I absorb iron?', 'How can I absorb iron?'],
      ['How do I get on with the boss?', 'How can I get on with the boss?'],
      ['What is the height of fashion?', 'How tall is fashion?'],
      ['What are the analyses of it?', 'What are the analyzes of it?'],
    ],
  ],
  [
    'what is switched on and off',
    [
      ['Turn the lights off', 'Turn off the lights'],
      ['How do I switch notifications off?', 'How do I turn off notifications?'],
      ['Switch it on please', 'Turn it on please'],
    ],
    [
      ['Turn it on', 'Turn on it'],
      ['Turn the spot on', 'Turn on the spot'],
      ['Turn off the road', 'Switch off the road'],
      ['Turn on the light', 'Turn off the light'],
      ['How do I turn on ice?', 'How do I turn ice on?'],
      ['Turn on the side of the light', 'Turn the side of the light on'],
    ],
  ],
  [
    'amounts',
    [
      ['What is 20% of 80?', 'What is 20 percent of 80?'],
      ['What is 20% of 80?', 'What is 20 per cent of 80?'],
      ['Is it 5 km to the beach?', 'Is it 5 kilometres to the beach?'],
    ],
    [
      ['What is 20% of 80?', 'What is 20 of 80?'],
      ['Is it 5 mm to the beach?', 'Is it 5 km to the beach?'],
      ['Is it 5 m to the beach?', 'Is it 5 miles to the beach?'],
      ['Is it 5 percent?', 'Is it 5 cents?'],
      ['Is it 5 Km to the beach?', 'Is it 5 km to the beach?'],
      ['Is it 5 per cent?', 'Is it 5 per cents?'],
    ],
  ],
  [
    'a superlative and what it is said of',
    [
      ['Which river is the longest?', 'What is the longest river?'],
      ['Which river is the longest in Asia?', 'What is the longest river in Asia?'],
    ],
    [
      ['Which river is the longest?', 'Which river is the shortest?'],
      ['Which river is longest?', 'Which rivers are longest?'],
      ['What pest is the river?', 'What is the river pest?'],
      ['Which river is the longest to swim?', 'What is the longest river to swim?'],
    ],
  ],
  [
    'excuses before a question',
    [
      ['um uh is it open?', 'Is it open?'],
      ['How to um change a tyre?', 'How to change a tyre?'],
      ['uh where is the exit', 'Where is the exit?'],
      ['Sorry, where is the exit?', 'Where is the exit?'],
      ['Excuse me, is the pool open?', 'Is the pool open?'],
    ],
    [
      ['Sorry, I cannot come to the party', 'I cannot come to the party'],
      ['Excuse me for the mess', 'For the mess'],
      ['Sorry is a song by whom?', 'Is a song by whom?'],
      ['Sorry, Is It Me was sung by whom?', 'Is It Me was sung by whom?'],
    ],
  ],
  [
    'requests to be told',
    [
      ['Could you let me know what the fee is?', 'What is the fee?'],
      ["I'd like to know how to bake a cake", 'I would like to know how to bake a cake'],
      ['Where do I find the manual?', 'Where can I find the manual?'],
      ['Tell me if it is open.', 'Is it open?'],
      ['Can you tell me if I should stop?', 'Should I stop?'],
      ['Name the author of Emma.', 'Tell me the author of Emma.'],
      ['Name the deepest lake in Asia.', 'What is the deepest lake in Asia?'],
      ['Name the moons of Mars.', 'What are the moons of Mars?'],
      ['Tell me the function for parsing dates.', 'What is the function for parsing dates?'],
    ],
    [
      ['Name the smallest puppy in the basket.', 'What is the smallest puppy in the basket?'],
      ['Name the planet in my story.', 'What is the planet in my story?'],
      ['Name the king in my story.', 'What is the king in my story?'],
      ['Could you let me know when it is open?', 'When is it now open?'],
      ['Could you let me know who wins?', 'Who wins?'],
      ['Where do I park?', 'Where can I park?'],
      ['Could you let me go?', 'Let me go'],
    ],
  ],
  [
    "what's before a word that is no participle",
    [
      ["What's the difference between jam and jelly?", 'What is the difference between jam and jelly?'],
      ["What's open then?", 'What is open then?'],
    ],
    [
      ["What's taken the longest?", 'What is taken the longest?'],
      ["What's upset him?", 'What is upset him?'],
      ["Who's been there?", 'Who is been there?'],
    ],
  ],
  [
    'nutrients and parts',
    [
      ['How much sugar does an apple have?', 'How much sugar is in an apple?'],
      ['How many miles in a marathon?', 'How many miles are in a marathon?'],
      ['How many pages does a passport have?', 'How many pages are there in a passport?'],
    ],
    [
      ['How much sugar does an apple need?', 'How much sugar is in an apple?'],
      ['How many guests does a pub have?', 'How many guests are there in a pub?'],
      ['How much money does a bank have?', 'How much money is in a bank?'],
    ],
  ],
  [
    'a contracted is, before what only looks like a participle',
    [
      ["What's the form that I need?", 'What is the form that I need?'],
      ["What's the number on my red card?", 'What is the number on my red card?'],
      ["What's the square root of two hundred?", 'What is the square root of 200?'],
      ["What's the average funeral cost?", 'What is the average funeral cost?'],
      ["Who's the owner of the tool shed?", 'Who is the owner of the tool shed?'],
    ],
    [
      ["What's the move to Leeds cost us?", 'What is the move to Leeds cost us?'],
      ["Who's the coach at the club run out of?", 'Who is the coach at the club run out of?'],
      ["What's the man at the door taken?", 'What is the man at the door taken?'],
    ],
  ],
  [
    'ways to write what is not asked about',
    [
      ["What's wrong with my phone?", 'What is wrong with my phone?'],
      ["Hi, what's the correct dose for a cat?", 'What is the correct dose for a cat?'],
      ['Who is the author of the wrong box?', 'Who wrote the wrong box?'],
      ['Do I pay 12 euros in the United States?', 'Do I pay twelve euros in the USA?'],
    ],
    [
      ["Is it a mistake that they don't come?", 'Is it a mistake that they do not come?'],
      ['Is it wrong to log into it?', 'Is it wrong to log in to it?'],
    ],
  ],
];

describe.each(RULES)('the guard merges %s', (_, same, differ) => {
  it.each(same)('the same: %j %j', (a, b) => {
    expect(differs(a, b)).toBeUndefined();
    expect(differs(b, a)).toBeUndefined();
  });
  it.each(differ)('different: %j %j', (a, b) => {
    expect(differs(a, b)).toBeDefined();
    expect(differs(b, a)).toBeDefined();
  });
});

describe('a verifier is not asked about', () => {
  it.each([
    ['mention', "Is it wrong to write don't in an essay?", 'Is it wrong to write do not in the essay?'],
    ['opposite', 'Sort the list in ascending order', 'Sort the list in descending order'],
    ['opposite', 'How do I encode it?', 'How do I decode it?'],
    ['opposite', 'What does a mentor do?', 'What does a mentee do?'],
    ['opposite', 'Is the gum sugar-free?', 'Is the gum sugar?'],
    ['unit', 'Run the job every hour', 'Run the job every minute'],
    ['time', 'Is it an hourly job?', 'Is it a nightly job?'],
    ['name', 'What is hydroxyzine used for?', 'What is hydralazine used for?'],
    ['name', 'What does a prosecutor do?', 'What does a persecutor do?'],
    ['name', 'is it legal in germany', 'is it legal in austria'],
    ['name', 'how big is the iphone 12 pro', 'how big is the iphone 12'],
    ['name', 'Who is the principal of it?', 'Who is the principle of it?'],
  ])('%s: %s %s', (kind, a, b) => {
    for (const found of [differenceOf(a, b), differenceOf(b, a)]) expect(found).toMatchObject({ kind, soft: false });
  });

  it.each([
    ['Where can I find the instructions?', 'Where can I find the instuctions?'],
    ['How do I cancel the order that was delivered?', 'How do I cancel the order that was deliverd?'],
    ['Who cancels the flight?', 'Who cancelled the flight?'],
  ])('but about what may be a typing error or a form of a word: %s %s', (a, b) => {
    expect(differenceOf(a, b)).toMatchObject({ soft: true });
  });

  it('but about a thing that is named without its preposition', () => {
    const [a, b] = ['How do I renew a permit for parking?', 'How is a parking permit renewed?'];
    for (const found of [differenceOf(a, b), differenceOf(b, a)]) expect(found).toMatchObject({ soft: true });
  });
});
