import { isNumeral } from './numbers.js';
import { type Token, tokenOf, wordAt } from './tokens.js';
import { ARTICLES, BE, DO, HAVE, IMPERATIVES, MODALS, PREPOSITIONS, WH } from './words.js';

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));

/** Marks at the end of a sentence. */
export const MARKS = set('. ? ! \u2026');

export const SUBJECTS = set('i you he she it we they there this that');

export const isHelper = (word: string): boolean => BE.has(word) || HAVE.has(word) || MODALS.has(word);

/** A word that questions begin with. */
export const isOpening = (word: string): boolean => WH.has(word) || isHelper(word) || DO.has(word);

interface Kinds {
  /** Asks to be told, as `explain …` does, whatever mark is behind it. */
  readonly isRequest: (body: readonly Token[]) => boolean;
  /** The question behind something that stands before it: `in winter, is it open`. */
  readonly mainOf: (body: readonly Token[]) => readonly Token[];
}

/**
 * Without the marks at the end, except for one that says more than the words do: `you did it?`, `do the dishes?`, `what a
 * day!`. Of a question in the order of a question, every mark says the same, and so does none.
 */
export function withoutEnd(tokens: readonly Token[], kinds: Kinds): readonly Token[] {
  let end = tokens.length;
  while (end > 0 && MARKS.has(wordAt(tokens, end - 1))) end -= 1;
  const [body, marks] = [tokens.slice(0, end), tokens.slice(end).map(({ word }) => word)];
  if (marks[0] === '!' && hasFactorial(body.at(-1))) return tokens;
  const mark = markOf(marks);
  return mark !== '' && tells(body, mark, kinds) ? [...body, tokenOf(mark)] : body;
}

const markOf = (marks: readonly string[]): string => {
  const strongest = ['?', '!', '\u2026'].find((mark) => marks.includes(mark));
  return strongest ?? (marks.length > 1 ? '\u2026' : (marks[0] ?? ''));
};

function tells(body: readonly Token[], mark: string, { isRequest, mainOf }: Kinds): boolean {
  const main = mainOf(body);
  const first = wordAt(main, 0);
  if (mark === '!' && isExclaimed(main)) return true;
  // Of several sentences only the last one has this mark.
  if (main.some(({ word }) => MARKS.has(word))) return mark !== '.';
  if (isRequest(main)) return false;
  if (first === 'what' && ARTICLES.has(wordAt(main, 1))) return mark !== '.';
  if (isInverted(main)) return false;
  // `Who won the cup`, `do the dishes`: the words alone do not say whether that is asked. Without a mark it often is.
  if (opensQuestion(main)) return mark !== '?';
  return mark !== '.' && !(mark === '!' && main.length > 1 && IMPERATIVES.has(first));
}

/** `Who`, `do`, `in which`. */
const opensQuestion = (tokens: readonly Token[]): boolean =>
  isOpening(wordAt(tokens, 0)) || (PREPOSITIONS.has(wordAt(tokens, 0)) && WH.has(wordAt(tokens, 1)));

/** Behind `how` these are asked for; another word may be the subject of a title: `how sausages are made`. */
const DEGREES = set('many much long often old far tall big large high deep wide heavy fast soon late early');

/** Whether the order of the words shows that something is asked: the verb stands before what does it. */
function isInverted(tokens: readonly Token[]): boolean {
  const from = !WH.has(wordAt(tokens, 0)) && PREPOSITIONS.has(wordAt(tokens, 0)) ? 1 : 0;
  const first = wordAt(tokens, from);
  return WH.has(first) ? asksFor(first, tokens.slice(from + 1)) : from === 0 && asksWhether(tokens);
}

function asksFor(what: string, rest: readonly Token[]): boolean {
  const next = wordAt(rest, 0);
  if (next === 'to') return true;
  // `Which is why I left.`
  if (rest.length < 2 || (isHelper(next) && WH.has(wordAt(rest, 1)))) return false;
  if (what === 'how' && (next === 'many' || next === 'much'))
    return !rest.slice(1, 4).some(({ word }) => SUBJECTS.has(word));
  const thing = what === 'how' ? DEGREES.has(next) : /^(?:what|which|whose)$/.test(what);
  const verb = rest.slice(0, thing ? 4 : 1).findIndex(({ word }) => isHelper(word) || DO.has(word));
  return (
    verb >= 0 && verb < rest.length - 1 && !rest.slice(0, verb).some(({ word }) => SUBJECTS.has(word) || word === ',')
  );
}

/**
 * Subjects that show a question behind a verb which commands, wishes and conditions begin with too: `do you`, but `do it`; `may
 * I`, but `may he`; `can it work`, but `can the beans`; none behind `had`. Behind `is`, `does` and the like any word does.
 */
const BEHIND: readonly (readonly [verbs: string, subjects: string])[] = [
  ['do', 'i you we they'],
  ['have has can could will would must shall might', 'i you he she it we they there'],
  ['may should', 'i we'],
  ['were', 'you we they the'],
  ['had be been being', ''],
];
const subjects = new Map(
  BEHIND.flatMap(([verbs, those]) => verbs.split(' ').map((verb) => [verb, set(those)] as const)),
);

function asksWhether(tokens: readonly Token[]): boolean {
  const [first, second] = [wordAt(tokens, 0), wordAt(tokens, 1)];
  return tokens.length > 2 && isOpening(first) && (subjects.get(first)?.has(second) ?? true);
}

/** `5!`, `n!`, `zero!`, `Nf3!`. */
const hasFactorial = (token: Token | undefined): boolean =>
  token !== undefined && (isNumeral(token) || NUMBERS.has(token.word) || /^\p{L}$|\p{N}/u.test(token.word));
const NUMBERS = set('zero dozen pi infinity');

/** `What a day!`, `how nice it is!`: without the verb of a question behind the first words. */
function isExclaimed(tokens: readonly Token[]): boolean {
  const [first, second, third] = [wordAt(tokens, 0), wordAt(tokens, 1), wordAt(tokens, 2)];
  if ((first !== 'what' && first !== 'how') || second === 'to') return false;
  return ARTICLES.has(second) || ![second, third].some((word) => isHelper(word) || DO.has(word));
}
