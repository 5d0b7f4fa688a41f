import { describe, expect, it } from 'vitest';
import { differenceOf, differs } from '../../../../activities/cache/lexical-guard.js';
import type { QuestionPair } from '../../../support/question-pairs.js';

/** What the guard tells apart, and what it must not: pairs that differ in an answer, and pairs that do not. */
const RULES: readonly (readonly [rule: string, differ: readonly QuestionPair[], same: readonly QuestionPair[]])[] = [
  [
    'a mark at the end where the words do not show what is asked',
    [
      ['Do the dishes.', 'Do the dishes?'],
      ['Have a break.', 'Have a break?'],
      ['Who cares.', 'Who cares?'],
      ['What he said.', 'What he said?'],
      ['How it works.', 'How it works?'],
      ['May he rest in peace.', 'May he rest in peace?'],
      ['Which is why I left.', 'Which is why I left?'],
      ['Had I known it.', 'Had I known it?'],
      ['What a mess.', 'What a mess?'],
      ['They won the cup!', 'They won the cup.'],
      ['The capital of France is...', 'The capital of France is.'],
      ['So do I.', 'Do I?'],
      ['Is Nf3! the move?', 'Is Nf3 the move?'],
      ['What is the point of e4!', 'What is the point of e4?'],
    ],
    [
      ['What is the capital of Chile?', 'What is the capital of Chile.'],
      ['How many people live in Oslo?', 'How many people live in Oslo.'],
      ['In summer, is the rink open?', 'In summer, is the rink open.'],
      ['Who founded Rome?', 'Who founded Rome'],
      ['Do you ship to Malta?', 'Do you ship to Malta.'],
      ['Are you open!', 'Are you open?'],
      ['Turn on the fan.', 'Turn on the fan!'],
      ['How to clean silver?', 'How to clean silver.'],
      ['The printer that you sent is broken.', 'The printer that you sent is broken'],
    ],
  ],
  [
    'a greeting before a question is no part of it, and what else stands before a colon is',
    [
      ['Is this a question: You are here?', 'Is this a question: You are here.'],
      ['Is this a rude question: You are ill?', 'Is this a rude question: You are ill.'],
      ['Rewrite this question: what is the plan?', 'Rewrite this question: what was the plan?'],
      ['Write a reply to hi: She left the house', 'Write a reply to hi: She left the house?'],
    ],
    [
      ['Quick question: how do I reset my password?', 'How do I reset my password?'],
      ['Quick question: who founded Rome?', 'Who founded Rome?'],
    ],
  ],
  [
    'requests for a message, and questions about what one knows',
    [
      ['Let me know who wins.', 'Who wins?'],
      ['Tell me when I should stop.', 'When should I stop?'],
      ['Do you know what you want?', 'What do you want?'],
      ['Do you know how to swim?', 'How do I swim?'],
    ],
    [
      ['Let me know what the price of a seat is.', 'What is the price of a seat?'],
      ['Do you know where the exit is?', 'Where is the exit?'],
    ],
  ],
  [
    'which of some that are known',
    [
      ['Which is it?', 'What is it?'],
      ['Which do you like?', 'What do you like?'],
      ['Which eats grass?', 'What eats grass?'],
      ['Which happened in 1066?', 'What happened in 1066?'],
    ],
    [
      ['Which bus goes to the zoo?', 'What bus goes to the zoo?'],
      ['Which is the largest ocean?', 'What is the largest ocean?'],
      ['Which is cheaper, a bus or a train?', 'What is cheaper, a bus or a train?'],
    ],
  ],
  [
    'how one is, and how to do something',
    [
      ['How do I benefit from the deal?', 'How can I benefit from the deal?'],
      ['How do I know him?', 'How can I know him?'],
      ['How do I make you feel?', 'How can I make you feel?'],
      ['How do I end up there?', 'How can I end up there?'],
      ['How do I count?', 'How can I count?'],
    ],
    [
      ['How do I know if it is safe?', 'How can I know if it is safe?'],
      ['How do I make her laugh?', 'How can I make her laugh?'],
      ['How do I turn up the heating?', 'How can I turn up the heating?'],
      ['How do I see my bill?', 'How to see my bill?'],
    ],
  ],
  [
    'has, is and possession',
    [
      ["Who's paid?", 'Who is paid?'],
      ["What's hit the ship?", 'What is hit the ship?'],
      ["Who's beaten them?", 'Who is beaten them?'],
      ["When's he arrived?", 'When is he arrived?'],
      ["Who's the prime minister of the U.S. appointed?", 'Who is the prime minister of the U.S. appointed?'],
      ['WHO’S THE NEW BOSS FIRED?', 'WHO IS THE NEW BOSS FIRED?'],
    ],
    [
      ["What's the best way to run a race?", 'What is the best way to run a race?'],
      ["What's the right setting for frozen peas?", 'What is the right setting for frozen peas?'],
      ["what's the best month for sweden", 'What is the best month for Sweden?'],
      ["What's the next step? I have picked a plan.", 'What is the next step? I have picked a plan.'],
      ["Where's the lost property office?", 'Where is the lost property office?'],
      ["When's the next full moon?", 'When is the next full moon?'],
    ],
  ],
  [
    'a courtesy that is part of what is said',
    [
      ['Who does he want to please?', 'Who does he want to?'],
      ['Hello, Dolly, who sang it?', 'Dolly, who sang it?'],
      ['What is the best film, Alien, Thanks?', 'What is the best film, Alien?'],
      ['So is the dog.', 'Is the dog?'],
    ],
    [
      ['Hi, how do I bleed a radiator?', 'How do I bleed a radiator?'],
      ['Where can I park please', 'Where can I park?'],
      ['Open the blinds, thanks.', 'Open the blinds.'],
    ],
  ],
  [
    'what a place has, wherever it is',
    [
      ['How many embassies does a country have?', 'How many embassies are there in a country?'],
      ['Who directed the FBI?', 'Who is the director of the FBI?'],
    ],
    [['How many wings does a bee have?', 'How many wings are there in a bee?']],
  ],
  [
    'what one thing has, and what is said of all things of its name',
    [
      ["What is the browser's history?", 'What is the history of the browser?'],
      ["What is the car's history?", 'What is the history of the car?'],
      ["What is the TV's size?", 'What is the size of the TV?'],
      ["What is the women's size?", 'What is the size of the women?'],
    ],
    [
      ["What is France's capital?", 'What is the capital of France?'],
      ["what is france's capital", 'What is the capital of France?'],
      ["What is the UK's population?", 'What is the population of the UK?'],
      ["What is the Eiffel Tower's height?", 'What is the height of the Eiffel Tower?'],
    ],
  ],
  [
    'names, units and variables that are words in other capitals',
    [
      ['How big is the hamlet?', 'How big is the Hamlet?'],
      ['What is a newton?', 'What is a Newton?'],
      ['How much is 2 atm?', 'How much is 2 ATM?'],
      ['Is 5g safe?', 'Is 5 g safe?'],
      ['What is index i?', 'What is index I?'],
      ['What does i equal?', 'What does I equal?'],
      ['Who is the captain of the Manchester United States side?', 'Who is the captain of the Manchester USA side?'],
    ],
    [
      ['what do i do when i lose my key', 'What do I do when I lose my key?'],
      ['Is it 5 km away?', 'Is it 5km away?'],
      ['do you ship to northern ireland', 'Do you ship to Northern Ireland?'],
    ],
  ],
  [
    'words that are merged in a verb only',
    [
      ['Where is the start key?', 'Where is the begin key?'],
      ['What does start do in Ruby?', 'What does begin do in Ruby?'],
      ['What is start in Pascal?', 'What is begin in Pascal?'],
      ['What stands between start and end?', 'What stands between begin and end?'],
      ['What is a wont?', "What is a won't?"],
      ['Add up rows 1,200 please', 'Add up rows 1200 please'],
    ],
    [
      ['When does the film start?', 'When does the film begin?'],
      ['When is the film to start?', 'When is the film to begin?'],
      ['It cost 1,200 euros, is that much?', 'It cost 1200 euros, is that much?'],
    ],
  ],
  [
    'other languages with short words of English',
    [
      ['So was mag Anna am liebsten', 'Was mag Anna am liebsten'],
      ['Er is brand in Bern', 'Is brand in Bern'],
    ],
    [
      ['Is sertraline safe to take during pregnancy', 'is sertraline safe to take during pregnancy'],
      ['can i um order food for collection', 'Can I order food for collection?'],
    ],
  ],
  [
    'spaces, lines and characters that carry meaning',
    [
      ['Is the row Anna Lee\tBerg there?', 'Is the row Anna\tLee Berg there?'],
      ['  a: 1\nb: 2', 'a: 1\nb: 2'],
      ["SELECT 'it\u2019s'", "SELECT 'it's'"],
      ['What is 5 K in C?', 'What is 5 \u212a in C?'],
      ['Is a;b fine?', 'Is a\u037eb fine?'],
      ['Who is \u798f?', 'Who is \ufa1b?'],
    ],
    [
      ['Is caf\u00e9 open?', 'Is cafe\u0301 open?'],
      ['\ud55c\uad6d\uc5b4', '\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165'],
      ['\n\na = 1\nb = 2\n', 'a = 1\nb = 2'],
      ['It\u2019s the plan that counts', "It's the plan that counts"],
    ],
  ],
];

describe.each(RULES)('the guard knows %s', (_, differ, same) => {
  it.each(differ)('different: %j %j', (a, b) => {
    expect(differs(a, b)).toBeDefined();
    expect(differs(b, a)).toBeDefined();
  });
  it.each(same)('the same: %j %j', (a, b) => {
    expect(differs(a, b)).toBeUndefined();
    expect(differs(b, a)).toBeUndefined();
  });
});

describe('a verifier is not asked about', () => {
  it.each([
    ['order', 'Can we see them?', 'Can they see us?'],
    ['order', 'Who helped Anna?', 'Who was helped by Anna?'],
    ['order', 'Which team beat Norway?', 'Which team was beaten by Norway?'],
    ['order', "Who's the old boss beaten by the team?", 'Who is the old boss that beat the team?'],
    ['order', "Who's the new coach the boss hired?", 'Who is the boss the new coach hired?'],
    ['order', "Had Tom's car passed by the school?", "Was Tom's car passed by the school?"],
    ['name', 'Is SI a good choice?', 'Is Si a good choice?'],
    ['name', 'What does the r flag do?', 'What does the R flag do?'],
    ['unit', 'How much is 5 gigabytes?', 'How much is 5 megabytes?'],
    ['signs', 'The shop that I like is open.', 'The shop that I like is open?'],
    ['request', 'Let me know who wins.', 'Who wins?'],
    ['request', 'Which is it?', 'What is it?'],
    ['signs', `Do it?${' '.repeat(20)}`, 'Do it.'],
  ])('%s: %s %s', (kind, a, b) => {
    for (const found of [differenceOf(a, b), differenceOf(b, a)]) expect(found).toMatchObject({ kind, soft: false });
  });

  it('but about the same question without its mark', () => {
    expect(differenceOf('If I leave early do I pay?', 'If I leave early do I pay')).toMatchObject({
      kind: 'marks',
      soft: true,
    });
  });
});
