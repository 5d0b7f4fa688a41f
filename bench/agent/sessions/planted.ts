import { mulberry32, shuffled } from '../../random.js';
import type { Wordings } from './judge.js';

/** What a user says once, and asks for later. */
export interface Fact {
  readonly says: string;
  readonly asks: string;
  /** An answer is right if it has one of them. */
  readonly wordings: Wordings;
}

export interface Turn {
  readonly says: string;
  /** The fact that is asked for. */
  readonly asked?: Fact;
}

export interface Conversation {
  readonly facts: readonly Fact[];
  /** 20: eight with a fact each in the middle of other things, four without, eight questions. */
  readonly turns: readonly Turn[];
}

type Random = () => number;

const FACTS = 8;
const IDLE = 4;
/** Sentences around a fact. */
const AROUND = 5;

const one = <T>(items: readonly T[], random: Random): T => items[Math.floor(random() * items.length)] as T;
const between = (least: number, most: number, random: Random): number =>
  least + Math.floor(random() * (most - least + 1));

const OWN_NAMES = ['Novak', 'Okafor', 'Lindqvist', 'Marchetti'];
const OTHER_NAMES = ['Haddad', 'Petrov', 'Sandoval', 'Keller'];
const CITIES = ['Lisbon', 'Oslo', 'Krakow', 'Bologna', 'Ghent', 'Tallinn', 'Graz', 'Porto'];
const MONTHS = ['March', 'April', 'June', 'September', 'October', 'November'];
const DAYS = ['Tuesday', 'Wednesday', 'Thursday', 'Friday'];
const COLOURS = ['blue', 'green', 'orange', 'purple'];
const FOODS = ['peanuts', 'shellfish', 'strawberries', 'sesame'];
const DOGS = ['Biscuit', 'Pepper', 'Waffle', 'Domino'];
const FIRMS = ['Halden', 'Brightwater', 'Castellan', 'Norvig'];

const fact = (says: string, asks: string, ...wordings: string[]): Fact => ({ says, asks, wordings });

/** Names, numbers, dates and decisions. Two of them have neither a number nor a capital: `template` and `allergy`. */
const KINDS: readonly ((random: Random) => Fact)[] = [
  (random) => {
    const name = one(OWN_NAMES, random);
    return fact(`My last name is ${name}.`, 'What is my last name?', name);
  },
  (random) => {
    const number = String(between(10_000, 99_999, random));
    return fact(`My customer number is ${number}.`, 'What is my customer number?', number);
  },
  (random) => {
    const euros = between(21, 98, random) * 100 + 50;
    const said = euros.toLocaleString('en-GB');
    return fact(`We have agreed on a budget of ${said} euros.`, 'What budget have we agreed on?', String(euros));
  },
  (random) => {
    const [day, month] = [between(2, 27, random), one(MONTHS, random)];
    const says = `The parcel must arrive on ${day} ${month}.`;
    return fact(says, 'On what date must the parcel arrive?', `${day} ${month}`, `${month} ${day}`);
  },
  (random) => {
    const city = one(CITIES, random);
    return fact(`The workshop takes place in ${city}.`, 'In which city does the workshop take place?', city);
  },
  (random) => {
    const name = one(OTHER_NAMES, random);
    return fact(`The invoice goes to Ms ${name}.`, 'To whom does the invoice go?', name);
  },
  (random) => {
    const room = `${one(['A', 'B', 'C'], random)}-${between(101, 399, random)}`;
    return fact(`We meet in room ${room}.`, 'In which room do we meet?', room);
  },
  (random) => {
    const colour = one(COLOURS, random);
    const says = `We have decided to use the ${colour} template.`;
    return fact(says, 'Which template have we decided to use?', colour);
  },
  (random) => {
    const dog = one(DOGS, random);
    return fact(`Our office dog is called ${dog}.`, 'What is our office dog called?', dog);
  },
  (random) => {
    const food = one(FOODS, random);
    return fact(`One of the guests is allergic to ${food}.`, 'What is one of the guests allergic to?', food);
  },
  (random) => {
    const day = one(DAYS, random);
    return fact(`We have decided to publish on ${day}.`, 'On which weekday have we decided to publish?', day);
  },
  (random) => {
    const firm = one(FIRMS, random);
    return fact(`We buy our paper from ${firm}.`, 'From whom do we buy our paper?', firm);
  },
];

/** What people write around what matters, some of it with names and numbers of its own. */
const COURTESIES = [
  'Thank you for taking this on so quickly.',
  'It has been a busy week here, and half of the office is away.',
  'I wanted to write earlier, but the train was late again.',
  'The weather has been grey for days, which does not help.',
  'The coffee machine on our floor is still being repaired.',
  'There is no hurry with any of this.',
  'I will be in meetings for most of the afternoon, so I may be slow to answer.',
  'A colleague from the third floor says hello.',
  'Somebody left a very long list on my desk this morning.',
  'The last newsletter had 12 pages, and nobody read all of them.',
  'Last year Marta took care of all this, and she never complained.',
  'The lift is out of order, so everybody takes the stairs.',
  'Nobody has complained so far, which I take as a good sign.',
  'I read your messages on my phone, so short ones are best.',
  'We tried something similar in 2019, and it went well enough.',
  'Have you ever seen so many messages about one small event?',
  'My desk is next to the printer, which is never quiet.',
  'Most people here prefer tea, but they would not admit it.',
  'The new chairs have arrived, and opinions about them differ.',
  'I hope that this is not too much at once.',
];
const TASKS = [
  'Write one friendly sentence to the team.',
  'Suggest one title for the next newsletter.',
  'Name one good reason to take a break.',
  'Wish me a good weekend in one sentence.',
];

/** A conversation that the seed alone decides. */
export function conversationOf(seed: number): Conversation {
  const random = mulberry32(seed);
  const facts = shuffled(KINDS, random)
    .slice(0, FACTS)
    .map((make) => make(random));
  const around = () => shuffled(COURTESIES, random).slice(0, AROUND);
  const planting = facts.map(({ says }): Turn => {
    const sentences = around();
    sentences.splice(between(0, AROUND, random), 0, says);
    return { says: [...sentences, 'Say in a few words that you have noted it.'].join(' ') };
  });
  const idle = shuffled(TASKS, random)
    .slice(0, IDLE)
    .map((task): Turn => ({ says: [...around(), task].join(' ') }));
  const asking = shuffled(facts, random).map((asked): Turn => ({ says: asked.asks, asked }));
  return { facts, turns: [...planting, ...idle, ...asking] };
}

/** All facts and a question about one of them in a single message: what the model answers if nothing has to be remembered. */
export const atOnce = ({ facts }: Conversation, asks: string): string =>
  `${facts.map(({ says }) => says).join(' ')}\n\n${asks}`;
