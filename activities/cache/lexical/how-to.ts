import { isNamed } from './courtesies.js';
import { basesOfPast } from './inflection.js';
import { spelt } from './spelling.js';
import { TASKS, WHOLE_TASKS } from './tasks.js';
import { type Token, tokenOf, wordAt } from './tokens.js';

const set = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/));
const [tasks, whole] = [set(TASKS), set(WHOLE_TASKS)];

/**
 * `How do I`, `how can I` and `how to`, before a verb of a task with what it is done to. The person is kept: `how do you` may ask about the
 * one who answers.
 */
export function usualHow(tokens: readonly Token[]): readonly Token[] {
  if (wordAt(tokens, 0) !== 'how') return tokens;
  const [helper, subject] = [wordAt(tokens, 1), wordAt(tokens, 2)];
  const length = (helper === 'do' || helper === 'can') && subject === 'i' ? 3 : helper === 'to' ? 2 : 0;
  const task = tokens.slice(length);
  if (length === 0 || !isTask(task)) return tokens;
  return [tokens[0] as Token, tokenOf('to'), ...task];
}

/** Things that a body or a mind does with these: `how do I store memories`. */
const WITHIN = set(
  'memory memories thoughts feelings emotions information oxygen blood hormones energy heat body sugar starch fat',
);
/** No object: `how do I learn best`, `how do I win if I lose`. */
const MANNER = set('best better well worse fast if when while because since as than');
const SICK = set('sick ill hurt old hot cold tired angry');
/** One's feelings after `make`: `how do I make you feel`. */
const SENSES = set('feel look sound seem smell taste appear');
/** With a person before them these verbs say how one sees or treats somebody. */
const PEOPLE = set('you him her them it us me people');
const TOWARDS = set('find treat leave meet handle recognise recognize read see take');
/** What is one's own, and used as one lives: `how do I use my time` asks what becomes of it. */
const LIVED = set('time life days free body money data');
/** `How do I get on with him`, `how do I end up there`, `how do I compare to him`, `how do I measure against my peers`. */
const FARING = new Map([
  ['get', set('on along by around')],
  ['go', set('on by down')],
  ['end', set('up')],
  ['turn', set('out')],
  ['stack', set('up against')],
  ['hold', set('up')],
  ['fit', set('in')],
  ['compare', set('to with against among')],
  ['measure', set('up against among')],
  ['track', set('against among')],
]);

function isTask(tokens: readonly Token[]): boolean {
  // `How do I permanently delete it`.
  const from = /^.{3,}ly$/.test(wordAt(tokens, 0)) && !tasks.has(wordAt(tokens, 0)) ? 1 : 0;
  const [written, object, next] = [0, 1, 2].map((i) => tokens[from + i]?.word ?? '') as [string, string, string];
  const verb = spelt(written);
  // `How do I know if it is safe`, `how do I see my bill`, `how do I fall asleep`.
  if (verb === 'know') return object === 'if' || object === 'whether' || (object === 'when' && next !== '');
  if (verb === 'see') return object === 'my' || object === 'the';
  if (verb === 'fall') return object === 'asleep';
  if (!tasks.has(verb) && !tasks.has(written)) return false;
  if (object === '') return whole.has(verb);
  if (MANNER.has(object)) return false;
  if (WITHIN.has(object) || WITHIN.has(next)) return false;
  // `How do I get treated at work`.
  if (verb === 'get' && object !== 'started' && (SICK.has(object) || basesOfPast(object).length > 0)) return false;
  if (FARING.get(verb)?.has(object) || (verb === 'turn' && object === 'up' && next === '')) return false;
  if (TOWARDS.has(verb)) return !PEOPLE.has(object) && !isNamed(tokens[from + 1]);
  if (verb === 'make') return !tokens.slice(from + 2).some(({ word }) => SENSES.has(word));
  if (verb === 'use' || verb === 'spend') return object !== 'my' || !LIVED.has(next);
  return true;
}
