import { POSSESSIVE, type Token } from './tokens.js';
import {
  ALIASES,
  BE,
  DO,
  FILLERS,
  FRAMES,
  GREETINGS,
  HAVE,
  IMPERATIVES,
  IMPLIED_NOUNS,
  MODALS,
  PHRASE_ENDS,
  PREPOSITIONS,
  SOFT,
  WH,
} from './words.js';

/** The opening of a question: what it asks for, and the remaining words. */
export interface Opening {
  /**
   * `what`, `who`, `when`, `where`, `why`, `whose`, `how` (in what way), `how:<adjective>`, `whether` (yes or no), `about`,
   * `tell` (a joke), or `none` (a command, a statement, a bare phrase).
   */
  readonly focus: string;
  readonly rest: readonly Token[];
}

export function openingOf(tokens: readonly Token[]): Opening {
  const { imperative, rest } = withoutFrames(withAliases(tokens.filter(({ word }) => !SOFT.has(word))));
  const [first, second] = [rest[0]?.word ?? '', rest[1]?.word ?? ''];
  if (imperative && (first === 'if' || first === 'whether')) return { focus: 'whether', rest: rest.slice(1) };
  if (imperative && first === 'about') return { focus: 'about', rest: rest.slice(1) };
  if (WH.has(first)) return whOpening(rest);
  // `At what temperature does it boil` is `what temperature does it boil at`.
  if (PREPOSITIONS.has(first) && WH.has(second)) return whOpening([...rest.slice(1), rest[0] as Token]);
  if (imperative) return { focus: isDefinite(rest) || imperative === 'explain' ? 'what' : 'tell', rest };
  const isYesNo = BE.has(first) || DO.has(first) || HAVE.has(first) || MODALS.has(first);
  return { focus: isYesNo ? 'whether' : 'none', rest };
}

function withAliases(tokens: readonly Token[]): Token[] {
  const out: Token[] = [];
  for (let at = 0; at < tokens.length; ) {
    const alias = ALIASES.get(tokens[at]?.word ?? '')?.find(({ from }) => startsWith(tokens, from, at));
    if (alias) {
      at += alias.from.length;
      // A country keeps the capitals of its long name.
      const letters = alias.to.length === 1 ? (tokens[at - 1]?.letters ?? 'plain') : 'plain';
      out.push(...alias.to.map((word) => ({ word, letters })));
    } else {
      const token = tokens[at] as Token;
      out.push(token.letters === 'upper' ? { ...token, word: acronymOf(token.word) } : token);
      at += 1;
    }
  }
  return out;
}

type Imperative = 'explain' | 'tell' | undefined;

/** `Tell me the capital` asks what it is; `tell me a joke` does not. */
const isDefinite = (tokens: readonly Token[]): boolean =>
  tokens[0]?.word === 'the' || tokens.slice(0, 4).some(({ word }) => word === POSSESSIVE);

/** `US`, `IT`, `WHO` are names, unlike `us`, `it`, `who`. */
const acronymOf = (word: string): string => (word === 'us' ? 'usa' : PHRASE_ENDS.has(word) ? word.toUpperCase() : word);

function withoutFrames(tokens: readonly Token[]): { imperative: Imperative; rest: readonly Token[] } {
  let rest = tokens;
  let imperative: Imperative;
  for (;;) {
    const [first = '', second = ''] = [rest[0]?.word, rest[1]?.word];
    const filler = rest.length > 1 && (GREETINGS.has(first) || (FILLERS.has(first) && PHRASE_ENDS.has(second)));
    const frame = FRAMES.find((words) => startsWith(rest, words, 0));
    const verb = IMPERATIVES.find((words) => startsWith(rest, words, 0) && isImperative(words, rest));
    if (filler) {
      rest = rest.slice(1);
    } else if (verb && rest.length > verb.length) {
      rest = rest.slice(verb.length);
      imperative = verb[0] === 'explain' || verb[0] === 'define' ? 'explain' : 'tell';
    } else if (
      frame &&
      (isIndirectQuestion(frame) || IMPERATIVES.some((words) => startsWith(rest, words, frame.length)))
    ) {
      rest = rest.slice(frame.length);
      if (isIndirectQuestion(frame)) imperative ??= 'tell';
    } else {
      return { imperative, rest };
    }
  }
}

/** `Name the capital of France`, not `name the dog Rex`. */
const isImperative = (verb: readonly string[], tokens: readonly Token[]): boolean =>
  verb[0] !== 'name' || tokens.some(({ word }) => word === 'of' || word === 'in');

/** Frames such as `do you know`, as opposed to `can you`, which is courtesy only before a verb of telling. */
const isIndirectQuestion = (frame: readonly string[]): boolean => !['you', 'please'].includes(frame.at(-1) ?? '');

function whOpening(tokens: readonly Token[]): Opening {
  const words = tokens.map(({ word }) => word);
  const [wh = '', next = '', third = ''] = words;
  if (wh === 'how') return howOpening(tokens, words);
  if (wh === 'who' || wh === 'whom') return { focus: 'who', rest: tokens.slice(1) };
  if (wh !== 'what' && wh !== 'which') return { focus: wh, rest: tokens.slice(1) };
  if (next === 'year' && ['did', 'was', 'were'].includes(third))
    return {
      focus: 'when',
      rest: tokens.slice(2).filter((token, i, all) => !(i === all.length - 1 && token.word === 'in')),
    };
  if (next === 'time')
    return {
      focus: 'time',
      rest: tokens.slice(2).filter((token, i, all) => !(i === all.length - 1 && token.word === 'at')),
    };
  if (next === 'person' || (next === 'team' && ['won', 'wins'].includes(third)))
    return { focus: 'who', rest: tokens.slice(2) };
  const way = /^(?:what is|which is) (?:the|a) (?:(?:best|right|proper|correct|good) )?way to /.exec(
    `${words.slice(0, 7).join(' ')} `,
  )?.[0];
  if (way !== undefined) return { focus: 'how', rest: tokens.slice(way.trim().split(' ').length) };
  const head = Object.hasOwn(IMPLIED_NOUNS, next) ? IMPLIED_NOUNS[next] : undefined;
  if (head !== undefined && BE.has(third) && words.includes(head)) return { focus: 'what', rest: tokens.slice(2) };
  return { focus: 'what', rest: tokens.slice(1) };
}

/** `How many legs does a spider have` is `how many legs are in a spider`. */
function withHolder(tokens: readonly Token[]): readonly Token[] {
  const helper = tokens.findIndex(({ word }) => DO.has(word));
  if (helper < 1 || helper >= tokens.length - 2 || tokens.at(-1)?.word !== 'have') return tokens;
  return [...tokens.slice(0, helper), { word: 'in', letters: 'plain' }, ...tokens.slice(helper, -1)];
}

const HELPERS = new Set([...DO, 'can', 'could', 'should', 'would']);
const ANYONE = new Set(['i', 'you', 'we', 'one']);
const DEGREES = new Set(
  'many much old tall high far deep heavy fast big large wide long often soon well hot cold late early'.split(' '),
);

function howOpening(tokens: readonly Token[], words: readonly string[]): Opening {
  const [, next = '', third = ''] = words;
  if (DEGREES.has(next)) {
    const focus = `how:${next}`;
    if (next === 'many') return { focus, rest: withHolder(tokens.slice(2)) };
    if (next !== 'long') return { focus, rest: tokens.slice(2) };
    // The duration of an action, regardless of who performs it.
    const taking = /^how long (?:does|will|would) it take (?:(?:me|you|us) )?to /.exec(
      `${words.slice(0, 7).join(' ')} `,
    )?.[0];
    if (taking !== undefined) return { focus, rest: tokens.slice(taking.trim().split(' ').length) };
    const acting = (third === 'do' || third === 'should') && ANYONE.has(words[3] ?? '');
    return { focus, rest: tokens.slice(acting ? 4 : 2) };
  }
  if (next === 'to') return { focus: 'how', rest: tokens.slice(2) };
  // In `how do I` and `how can you` the person does not matter.
  if (HELPERS.has(next) && ANYONE.has(third) && next !== 'did') return { focus: 'how', rest: tokens.slice(3) };
  if (BE.has(next)) return { focus: 'how is', rest: tokens.slice(1) };
  return { focus: 'how', rest: tokens.slice(1) };
}

function startsWith(tokens: readonly Token[], words: readonly string[], at: number): boolean {
  return words.every((word, i) => tokens[at + i]?.word === word);
}
