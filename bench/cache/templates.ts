import type { Pair } from './pairs.js';

const list = (text: string): string[] => text.split('|').map((part) => part.trim());

/** Verb phrases that ask for the same with the same object, and objects for them. */
const SYNONYMS: readonly (readonly [verbs: string, objects: string])[] = [
  ['get|obtain|receive', 'a receipt|a day pass|a locker key|the brochure|a guest badge'],
  ['set up|create|make', 'a shared calendar|a mailing list|a photo album|a reading list'],
  ['change|modify|alter|edit', 'the seat map|my nickname|the alarm tone|the route'],
  ['remove|delete|get rid of', 'a bookmark|an old draft|the watermark|a comment'],
  ['fix|repair|mend', 'a torn sail|a leaking hose|a cracked tile|a squeaky hinge'],
  ['find|locate', 'the fuse box|the spare tyre|the serial plate|the emergency exit'],
  ['start|begin', 'a book club|a compost heap|a stretching routine|the tutorial'],
  ['choose|select|pick', 'a mattress|a wedding venue|a paint brush|a winter tent'],
  ['send|mail|post', 'a postcard|the signed form|a sample box'],
  ['check|verify', 'the tyre pressure|the oil level|my ticket status'],
  ['buy|purchase', 'a harp|a used kayak|concert tickets|a bread oven'],
  ['improve|enhance', 'the sound of a piano|my balance|the light in a studio'],
  ['submit|hand in|file', 'the expense sheet|a poem for the contest|the survey'],
  ['connect|link|hook up', 'a speaker to the stage mixer|a sensor to the hub|a keyboard to the tablet'],
  ['contact|reach|get in touch with', 'the harbour master|the tour guide|the caretaker'],
  ['prepare|get ready', 'a talk|a picnic|a nursery room'],
  ['use|operate', 'a pasta machine|a chain saw|a sewing machine'],
  ['book|reserve', 'a squash court|a campsite|a barber'],
  ['cut|lower|reduce', 'the heating bill|the noise of a fan|the glare of a lamp'],
  ['join|become a member of', 'the rowing club|the choir|the film society'],
];
/** Verbs that ask for something else with the same object. */
const OTHERS: readonly (readonly [verbs: string, objects: string])[] = [
  ['paint|sell|hide|weigh|ship|clean', 'a torn sail|a harp|a used kayak|a bread oven|a sewing machine'],
  ['write|translate|print|share|rate', 'a poem for the contest|the brochure|a postcard|the survey'],
  ['follow|leave|praise|pay|visit', 'the tour guide|the choir|the film society|the caretaker'],
  ['rename|archive|export|merge|hide', 'a photo album|a reading list|a mailing list|a bookmark'],
  ['reach|clean|seal|photograph|test', 'the emergency exit|the fuse box|a cracked tile|a leaking hose'],
  ['explain|skip|end|repeat|record', 'the tutorial|a talk|a stretching routine'],
];
const HOW = ['How do I @?', 'How can I @?', 'What is the best way to @?'];
const HOW_MORE = [
  'What steps do I take to @?',
  'What should I do to @?',
  'What do I need to do to @?',
  'Is there a way to @?',
  'How would I @?',
  'I want to @, how does that work?',
  "What's the process to @?",
  'How does one @?',
];
const CAN = ['Can I @?', 'Am I able to @?', 'Is it possible to @?', 'Could I @?', 'May I @?'];

/** Things of one kind: another one is another question. */
const THINGS: readonly string[] = [
  'violin|cello|flute|trumpet|accordion|banjo',
  'maple|birch|willow|cedar|cherry tree',
  'fridge|dishwasher|toaster|kettle|freezer',
  'goat|llama|pony|ferret|parrot',
  'museum|aquarium|planetarium|zoo|castle',
  'walnut|almond|cashew|pistachio|hazelnut',
  'canoe|raft|yacht|ferry|rowing boat',
  'measles|mumps|malaria|shingles|tetanus',
  'curtain|carpet|sofa|mirror|wardrobe',
  'pepper|cumin|ginger|saffron|basil',
  'tablet|laptop|webcam|router|monitor',
];
const ABOUT: readonly (readonly [same: string, other: string])[] = [
  [
    'What does a @ cost?|How much is a @?|How much do I have to pay for a @?|What is the price of a @?',
    'What does a @ weigh?|How old is a @?',
  ],
  [
    'How do I clean a @?|What is the right way to clean a @?|How should I clean a @?|How can a @ be cleaned?',
    'How do I move a @?|Who cleans a @?',
  ],
  [
    'Where can I see a @?|Where is there a @ to see?|In what place can I see a @?',
    'Where can I sell a @?|When can I see a @?',
  ],
  [
    'How long does a @ last?|What is the lifespan of a @?|For how many years does a @ last?',
    'How tall is a @?|How do I draw a @?',
  ],
  [
    'Is a @ dangerous for children?|Can a @ be dangerous for children?|Are children at risk from a @?',
    'Is a @ useful for children?|Is a @ expensive for children?',
  ],
  ['What is special about a @?|What makes a @ special?|Why is a @ special?', 'What is bad about a @?|Who likes a @?'],
  [
    'What kind of @ should I choose?|Which @ should I choose?|What @ would be right for me?',
    'What kind of @ should I avoid?|What kind of @ do you have?',
  ],
];

/** Changes of form that keep the meaning, and such that change it, of a question about a thing. */
const FORM: readonly (readonly [a: string, b: string, same: boolean, kind: string])[] = [
  ['Do you have a @?', 'Have you got a @?', true, 'have-got'],
  ['Do you have a @?', 'Is there a @?', true, 'have-is-there'],
  ['Do you have a @?', 'Do I have a @?', false, 'person-t'],
  ['Who looks after the @?', 'Who takes care of the @?', true, 'phrasal'],
  ['Who looks after the @?', 'Who looks for the @?', false, 'preposition-t'],
  ['What do I do with the @?', 'What should I do with the @?', true, 'do-should'],
  ['What do I do with the @?', 'What did I do with the @?', false, 'tense-t'],
  ['Does the @ come with a manual?', 'Is a manual included with the @?', true, 'voice'],
  ['Does the @ come with a manual?', 'Does the @ come without a manual?', false, 'negation-t'],
  ['What are some facts about a @?', 'What are facts about a @?', true, 'some'],
  ['What exactly is a @?', 'What is a @?', true, 'exactly'],
  ['Why is the @ so popular?', 'Why do so many people like the @?', true, 'popular'],
  ['Why is the @ so popular?', 'Why is the @ so expensive?', false, 'word-t'],
  ['Is a @ a good present?', 'Would a @ be a good present?', true, 'would'],
  ['Is a @ a good present?', 'Is a @ a bad present?', false, 'opposite-t'],
  ['When was the @ invented?', 'When did somebody invent the @?', true, 'voice'],
  ['When was the @ invented?', 'Where was the @ invented?', false, 'focus-t'],
  ['Can I take the @ home?', 'Am I allowed to take the @ home?', true, 'allowed'],
  ['Can I take the @ home?', 'Can I take my @ home?', false, 'my-t'],
  ['How do I wrap a @?', 'How do I wrap the @?', true, 'article-same'],
  ['How do I wrap a @?', 'How do I unwrap a @?', false, 'prefix-t'],
  ['What is the best @?', 'Which is the best @?', true, 'which'],
  ['What is the best @?', 'What is the best old @?', false, 'scope-t'],
  ['What is the best @?', 'What is the best @ ever?', true, 'ever'],
  ['Where do I put the @?', 'Where should the @ go?', true, 'voice'],
  ['Where do I put the @?', 'Where do I put the @ lid?', false, 'scope-t'],
];

export function templatePairs(random: () => number): Pair[] {
  return [...verbs(random), ...otherVerbs(random), ...things(random), ...forms()];
}

const pick = <T>(items: readonly T[], random: () => number): T => items[Math.floor(random() * items.length)] as T;
const fill = (template: string, text: string): string => template.replace('@', text);

function verbs(random: () => number): Pair[] {
  return SYNONYMS.flatMap(([verbs, objects]) =>
    list(objects).flatMap((object): Pair[] => {
      const [one, other] = twoOf(list(verbs), random);
      const can = random() < 0.3;
      const first = pick(can ? CAN : HOW, random);
      const reworded = pick(can ? CAN : [...HOW, ...HOW_MORE], random);
      return [
        { a: fill(first, `${one} ${object}`), b: fill(first, `${other} ${object}`), same: true, kind: 'synonym' },
        {
          a: fill(first, `${one} ${object}`),
          b: fill(reworded, `${other} ${object}`),
          same: true,
          kind: 'synonym-form',
        },
        {
          a: fill(pick(HOW, random), `${one} ${object}`),
          b: fill(pick(HOW_MORE, random), `${one} ${object}`),
          same: true,
          kind: 'form-t',
        },
      ];
    }),
  );
}

function otherVerbs(random: () => number): Pair[] {
  return OTHERS.flatMap(([verbs, objects]) =>
    list(objects).flatMap((object): Pair[] =>
      [0, 1, 2].map(() => {
        const [one, other] = twoOf(list(verbs), random);
        const same = pick(HOW, random);
        return {
          a: fill(same, `${one} ${object}`),
          b: fill(random() < 0.7 ? same : pick(HOW_MORE, random), `${other} ${object}`),
          same: false,
          kind: 'other-verb',
        };
      }),
    ),
  );
}

function things(random: () => number): Pair[] {
  return THINGS.flatMap((row) =>
    ABOUT.flatMap(([same, other]): Pair[] => {
      const [one, two] = twoOf(list(row), random);
      const [a, b] = twoOf(list(same), random);
      return [
        { a: fill(a, one), b: fill(b, one), same: true, kind: 'rewording-t' },
        { a: fill(a, one), b: fill(a, two), same: false, kind: 'other-thing' },
        { a: fill(a, one), b: fill(pick(list(other), random), one), same: false, kind: 'other-question' },
        ...(random() < 0.5 ? [{ a: fill(a, one), b: fill(b, two), same: false, kind: 'other-thing' }] : []),
      ];
    }),
  );
}

/** Two of the things for each form, so that none is learnt by its thing. */
const forms = (): Pair[] =>
  FORM.flatMap(([a, b, same, kind], i) =>
    [0, 1, 2].map((n) => {
      const row = list(THINGS[(i + 4 * n) % THINGS.length] as string);
      const thing = row[(i + n) % row.length] as string;
      return { a: fill(a, thing), b: fill(b, thing), same, kind };
    }),
  );

function twoOf(items: readonly string[], random: () => number): [string, string] {
  const at = Math.floor(random() * items.length);
  const other = (at + 1 + Math.floor(random() * (items.length - 1))) % items.length;
  return [items[at] as string, items[other] as string];
}
