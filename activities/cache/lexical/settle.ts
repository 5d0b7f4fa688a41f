import { type Item, plainItem } from './item.js';
import { MAKERS, MEASURE_NOUNS, MEASURES } from './words.js';

/** Tense of a verb; `open` if there is none. */
export type Tense = 'past' | 'present' | 'future' | 'open';

interface Settled {
  readonly focus: string;
  readonly tense: Tense;
  readonly items: readonly Item[];
}

/**
 * Rewrites questions that can be put in two ways to one form. Each rule examines only the focus and words in fixed positions.
 *
 * @param hasDo the question has `do`, `does` or `did` as its helping verb
 */
export function settle(focus: string, tense: Tense, items: readonly Item[], hasDo: boolean): Settled {
  const [first, second] = items;
  const adjective = focus.startsWith('how:') ? focus.slice(4) : undefined;
  if (adjective !== undefined && Object.hasOwn(MEASURES, adjective)) {
    return { focus: `measure:${MEASURES[adjective]}`, tense, items };
  }
  // `How much does it cost`, `what does it cost`; not `what is the opportunity cost`.
  const cost = items.findIndex(({ word }) => word === 'cost' || word === 'costs');
  if ((focus === 'how:much' || focus === 'what') && hasDo && cost > 0) {
    return { focus: 'measure:price', tense, items: items.toSpliced(cost, 1) };
  }
  if (focus === 'what' && first && MEASURE_NOUNS.has(first.word)) {
    const measure = `measure:${first.word === 'cost' ? 'price' : first.word}`;
    if (second?.word === 'of') return { focus: measure, tense, items: items.slice(2) };
    if (first.word === 'distance') return { focus: measure, tense, items: items.slice(1) };
  }
  // `What causes it`, `what is the cause of it`.
  if (focus === 'what' && first?.word === 'causes' && second && second.word !== 'of') {
    return { focus, tense: 'present', items: [plainItem('cause'), plainItem('of'), ...items.slice(1)] };
  }
  if (focus === 'who') return settleMaker(tense, items);
  // Not `what does it like`.
  if (focus === 'what' && !hasDo && items.length > 1 && items.at(-1)?.word === 'like')
    return { focus: 'how is', tense, items: items.slice(0, -1) };
  if (focus === 'what' && first?.word === 'weather') return { focus: 'how is', tense, items };
  if (focus === 'where') {
    const words = items.filter(({ word }) => word !== 'located' && word !== 'situated');
    return { focus, tense, items: words };
  }
  return { focus, tense, items };
}

/** `Who wrote X` as `who is the author of X`: the tense of either is that of the work. */
function settleMaker(tense: Tense, items: readonly Item[]): Settled {
  const [first, second] = items;
  const verb = first?.pastOf.find((base) => Object.hasOwn(MAKERS, base));
  const noun = verb === undefined ? undefined : MAKERS[verb];
  if (noun !== undefined && tense === 'past' && second) {
    return { focus: 'who', tense: 'open', items: [plainItem(noun), plainItem('of'), ...items.slice(1)] };
  }
  const named = first !== undefined && Object.values(MAKERS).includes(first.word) && second?.word === 'of';
  return { focus: 'who', tense: named && tense !== 'future' ? 'open' : tense, items };
}
