import { isOpening, MARKS, SUBJECTS } from './mood.js';
import { isNumeral } from './numbers.js';
import { compile, lengthAt } from './pattern.js';
import { FRAMES, GREETINGS, THANKS } from './rewrites.js';
import { type Token, wordAt } from './tokens.js';
import { FUNCTION_WORDS, PRONOUNS, STARTERS, UNITS, WH } from './words.js';

const greetings = GREETINGS.map(compile);
const thanks = THANKS.map(compile);
const frames = FRAMES.map(compile);

const isPause = ({ raw }: Token): boolean => raw === 'um' || raw === 'uh';

/**
 * `Um` and `uh` at the start and between a person, or `how to` and the like, and a verb: `how do I um check it`. Elsewhere they may be
 * what is asked about: `what does um stand for`, `how good is um for nursing`. `Um` is a micrometre too.
 */
export function withoutPauses(tokens: readonly Token[]): readonly Token[] {
  if (tokens.some((token) => isNumeral(token) || UNITS.has(token.word))) return tokens;
  return tokens.filter((token, i) => {
    const next = tokens[i + 1];
    if (!isPause(token) || next === undefined || MARKS.has(next.word) || LISTING.has(next.word)) return true;
    const words = tokens.slice(0, i).flatMap((each) => (isPause(each) ? [] : [each.word]));
    const before = words.at(-1);
    if (before === undefined || MARKS.has(before)) return isSubject(tokens.slice(i));
    const acts = PERSONS.has(before) || (before === 'to' && TO_DO.has(words.at(-2) ?? ''));
    return !acts || FUNCTION_WORDS.has(next.word);
  });
}
const PERSONS = new Set('i you he she it we they'.split(' '));
const TO_DO = new Set('how want need have going like able try'.split(' '));
const LISTING = new Set('and or , like'.split(' '));

/**
 * A title has words in capitals that are small in a sentence: `Hello, I Love You`, `Please Please Me`. What looks like a courtesy may be a
 * part of it.
 */
export const isTitled = (tokens: readonly Token[]): boolean =>
  tokens.some(
    ({ raw, word, start }, i) =>
      i > 0 && !start && /^\p{Lu}\p{Ll}/u.test(raw) && STARTERS.has(word) && wordAt(tokens, i - 1) !== ',',
  );

/** Without greetings, fillers and `please` before a question or a request. */
export function withoutGreetings(tokens: readonly Token[]): readonly Token[] {
  let rest = tokens;
  for (;;) {
    const length = Math.max(...greetings.map((greeting) => lengthAt(rest, greeting)));
    const comma = [',', '.', '!', ':'].includes(wordAt(rest, length)) && rest[length];
    const next = length + (comma ? 1 : 0);
    const follows = wordAt(rest, next);
    // `Well water`, `right angle`: a filler stands before a question, or a comma behind it.
    const known = comma || isOpening(follows) || greetings.some((greeting) => lengthAt(rest, greeting, next) > 0);
    const asked = known || frames.some((frame) => lengthAt(rest, frame, next) > 0) || wordAt(rest, 0) === 'please';
    const bare = length === 2 && !comma && wordAt(rest, 1) === 'there';
    const subject = length === 1 && !comma && isSubject(rest);
    const name = comma && comma.word === ',' && isNamed(rest[next]);
    // `Sorry, I cannot come` says more than `I cannot come`; `sorry is a song`.
    const excuse = EXCUSES.has(wordAt(rest, 0)) && !(comma && isOpening(follows));
    if (length === 0 || next + 1 >= rest.length || !asked || bare || subject || name || excuse) return rest;
    const [first, ...others] = rest.slice(next);
    rest = first ? [{ ...first, start: true }, ...others] : rest;
  }
}

const EXCUSES = new Set(['sorry', 'excuse', 'pardon']);

/** `Hello, Dolly` and `Good morning, Vietnam` are names. */
export const isNamed = (token: Token | undefined): boolean =>
  token !== undefined && /^\p{Lu}/u.test(token.raw) && !STARTERS.has(token.word);

/** `OH has two houses`, `HI is …`, `right is the opposite of …`, `um is in which city`: the filler may be what the question is about. */
function isSubject(tokens: readonly Token[]): boolean {
  const [first, second, third] = [tokens[0]?.raw ?? '', wordAt(tokens, 1), wordAt(tokens, 2)];
  const quiet = tokens.some(({ raw }) => /\p{Ll}/u.test(raw));
  const abbreviation = quiet && /^\p{Lu}{2,}$/u.test(first);
  if (abbreviation && first !== 'OK') return true;
  const word = wordAt(tokens, 0);
  // `So do I.`, `so is the dog.`; German and Dutch `er`.
  const last = wordAt(tokens, -1);
  const bare = word === 'so' && (last === '.' || last === '!' || tokens.length === 3) && !WH.has(second);
  if (bare || (word === 'er' && !WH.has(second))) return true;
  const noun = abbreviation || ['right', 'well', 'um', 'uh'].includes(word);
  return noun && !WH.has(second) && isOpening(second) && !PRONOUNS.has(third);
}

/** Without thanks and `please` behind a text. */
export function withoutThanks(tokens: readonly Token[]): readonly Token[] {
  let end = tokens.length;
  while (end > 0 && MARKS.has(wordAt(tokens, end - 1))) end -= 1;
  for (const pattern of thanks) {
    const from = end - pattern.length;
    if (from < 2 || lengthAt(tokens, pattern, from) === 0) continue;
    const before = wordAt(tokens, from - 1);
    const plain = wordAt(tokens, from) === 'please';
    // The last item of a list: `Friends, Frasier, Cheers`.
    if (before === ',' && /^\p{Lu}\p{Ll}/u.test(tokens[from]?.raw ?? '')) continue;
    // `Whom does he want to please`, `when should I use please`.
    if (plain && (NAMING.has(before) || SUBJECTS.has(before) || isOpening(before))) continue;
    if (!plain && ((before !== ',' && !MARKS.has(before)) || mayThank(tokens, from))) continue;
    const rest = tokens.slice(0, before === ',' ? from - 1 : from);
    // The marks behind `please` are those of the sentence.
    const marks = MARKS.has(wordAt(rest, -1)) ? [] : tokens.slice(end);
    return withoutThanks([...rest, ...marks]);
  }
  return tokens;
}
const NAMING = new Set('to use add want with without the a an of and or not just only'.split(' '));

/** The thanks may be what is written: `draft a card. Thank you.`, or an item of a list: `friends, frasier, cheers`. */
const mayThank = (tokens: readonly Token[], from: number): boolean =>
  tokens.some(({ word }) => COMPOSED.has(word)) ||
  (wordAt(tokens, from) === 'cheers' && tokens.slice(0, from - 1).some(({ word }) => word === ','));
const COMPOSED = new Set(
  'email e-mail letter card note message reply answer caption text sign-off toast speech invitation postcard memo tweet post comment'.split(
    ' ',
  ),
);
