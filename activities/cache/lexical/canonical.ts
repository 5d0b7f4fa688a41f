import { isNumeral, withDigits } from './numbers.js';
import { compile, compileRewrite, lengthAt, type Pattern, rewritten } from './pattern.js';
import { ALIASES, FRAMES, GREETINGS, OWNED, REQUESTS, REWRITES, STATES, THANKS } from './rewrites.js';
import { POSSESSIVE, type Token, tokenOf } from './tokens.js';
import { ARTICLES, BE, DO, HAVE, MODALS, PREPOSITIONS, PRONOUNS, UNITS, WH } from './words.js';

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));
const patterns = (texts: readonly string[]): readonly Pattern[] => texts.map(compile);
const [greetings, thanks, frames, requests] = [GREETINGS, THANKS, FRAMES, REQUESTS].map(patterns) as [
  readonly Pattern[],
  readonly Pattern[],
  readonly Pattern[],
  readonly Pattern[],
];
const rewrites = REWRITES.map(compileRewrite);
const aliases = ALIASES.map(([from, to]) => ({ from: from.split(' '), to: to.split(' ') }));
const [owned, states] = [set(OWNED), set(STATES)];
const MARKS = set('. ? ! \u2026');

/**
 * A plain English text in the usual form of what it says. Only the listed courtesies and forms of questions are
 * rewritten; every other word and sign is kept in its place, so that two forms are equal only if each difference of the
 * texts is one that the rules know to mean nothing.
 */
export function canonical(tokens: readonly Token[]): readonly Token[] {
  let form = withoutEnd(withoutThanks(withoutGreetings(withoutPauses(tokens))));
  form = withAliases(withDigits(withPronoun(form)));
  form = withoutFrame(form);
  form = withFrontLast(form);
  for (const rewrite of rewrites) form = rewritten(form, rewrite) ?? form;
  return usualTime(owner(usualHow(form)));
}

const wordAt = (tokens: readonly Token[], at: number): string => tokens.at(at)?.word ?? '';

const isQuestion = (tokens: readonly Token[]): boolean => {
  const [first, second] = [wordAt(tokens, 0), wordAt(tokens, 1)];
  return isOpening(first) || (PREPOSITIONS.has(first) && WH.has(second));
};
const isOpening = (word: string): boolean => WH.has(word) || isHelper(word) || DO.has(word);

/** `Um` and `uh`; `um` is a micrometre too. */
function withoutPauses(tokens: readonly Token[]): readonly Token[] {
  if (tokens.some((token) => isNumeral(token) || UNITS.has(token.word))) return tokens;
  return tokens.filter(({ raw }) => raw !== 'um' && raw !== 'uh');
}

/** Behind these `i` is a unit or a variable, whose case counts, and no pronoun. */
const BEFORE_SYMBOL = set('a an the of by for from with into is equals times plus minus variable');

/** The pronoun is written `I`. */
const withPronoun = (tokens: readonly Token[]): readonly Token[] =>
  tokens.map((token, i) => {
    const before = tokens[i - 1];
    const symbol =
      before !== undefined && (BEFORE_SYMBOL.has(before.word) || (isNumeral(before) && before.word !== 'one'));
    return token.raw === 'i' && !symbol ? { ...token, raw: 'I' } : token;
  });

/** Without the marks at the end. A question mark counts where the order of the words does not show the question. */
function withoutEnd(tokens: readonly Token[]): readonly Token[] {
  let end = tokens.length;
  let asks = false;
  let calls = false;
  while (end > 0 && MARKS.has(wordAt(tokens, end - 1))) {
    end -= 1;
    asks ||= wordAt(tokens, end) === '?';
    calls ||= wordAt(tokens, end) === '!';
    if (wordAt(tokens, end) === '!' && hasFactorial(tokens[end - 1])) return tokens;
    // `vitamin C.`, `version 3.`: a point after them is one of the sentence.
  }
  const body = tokens.slice(0, end);
  if (calls && !asks && isExclaimed(body)) return [...body, tokenOf('!')];
  const told = body.findIndex(({ word }) => MARKS.has(word)) >= 0;
  return asks && (told || !isAsking(body)) ? [...body, tokenOf('?')] : body;
}

/** `5!`, `n!`, `zero!`. */
const hasFactorial = (token: Token | undefined): boolean =>
  token !== undefined && (isNumeral(token) || NUMBERS.has(token.word) || /^\p{L}$/u.test(token.word));
const NUMBERS = set('zero dozen pi infinity');

/** `What a day!`, `how nice it is!`: without the verb of a question behind the first words. */
function isExclaimed(tokens: readonly Token[]): boolean {
  const [first, second, third] = [wordAt(tokens, 0), wordAt(tokens, 1), wordAt(tokens, 2)];
  if ((first !== 'what' && first !== 'how') || second === 'to') return false;
  return ARTICLES.has(second) || ![second, third].some((word) => isHelper(word) || DO.has(word));
}

const isAsking = (tokens: readonly Token[]): boolean =>
  isQuestion(tokens) || frames.some((frame) => lengthAt(tokens, frame) > 0) || isFronted(tokens);

function withoutGreetings(tokens: readonly Token[]): readonly Token[] {
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
    if (length === 0 || next + 1 >= rest.length || !asked || bare || subject) return rest;
    const [first, ...others] = rest.slice(next);
    rest = first ? [{ ...first, start: true }, ...others] : rest;
  }
}

/** `OH has two houses`, `HI is …`, `right is the opposite of …`: the filler may be what the question is about. */
function isSubject(tokens: readonly Token[]): boolean {
  const [first, second, third] = [tokens[0]?.raw ?? '', wordAt(tokens, 1), wordAt(tokens, 2)];
  const quiet = tokens.some(({ raw }) => /\p{Ll}/u.test(raw));
  const abbreviation = quiet && /^\p{Lu}{2,}$/u.test(first);
  if (abbreviation && first !== 'OK') return true;
  const noun = abbreviation || ['right', 'well'].includes(wordAt(tokens, 0));
  return noun && !WH.has(second) && isOpening(second) && !PRONOUNS.has(third);
}

function withoutThanks(tokens: readonly Token[]): readonly Token[] {
  let end = tokens.length;
  while (end > 0 && MARKS.has(wordAt(tokens, end - 1))) end -= 1;
  for (const pattern of thanks) {
    const from = end - pattern.length;
    if (from < 2 || lengthAt(tokens, pattern, from) === 0) continue;
    const before = wordAt(tokens, from - 1);
    const plain = wordAt(tokens, from) === 'please';
    // The last item of a list: `Friends, Frasier, Cheers`.
    if (before === ',' && /^(?:Ta|Cheers)$/.test(tokens[from]?.raw ?? '')) continue;
    if (!plain && before !== ',' && !MARKS.has(before)) continue;
    const rest = tokens.slice(0, before === ',' ? from - 1 : from);
    // The marks behind `please` are those of the sentence.
    const marks = MARKS.has(wordAt(rest, -1)) ? [] : tokens.slice(end);
    return withoutThanks([...rest, ...marks]);
  }
  return tokens;
}

function withAliases(tokens: readonly Token[]): readonly Token[] {
  const out: Token[] = [];
  for (let at = 0; at < tokens.length; ) {
    const alias = aliases.find(({ from }) => from.every((raw, i) => rawOf(tokens[at + i]) === raw));
    if (alias) out.push(...alias.to.map((raw) => tokenOf(raw)));
    else out.push(tokens[at] as Token);
    at += alias?.from.length ?? 1;
  }
  return out;
}
const rawOf = (token: Token | undefined): string => (token?.start ? token.word : (token?.raw ?? ''));

/** The question after `tell me`, `do you know` and the like, in the order of a question. */
function withoutFrame(tokens: readonly Token[]): readonly Token[] {
  const request = Math.max(0, ...requests.map((each) => lengthAt(tokens, each)));
  const length = Math.max(0, ...frames.map((frame) => lengthAt(tokens, frame)));
  if (length === 0) return request > 0 ? withStart(tokens.slice(request)) : tokens;
  const rest = tokens.slice(length);
  const [first, second, third] = [wordAt(rest, 0), wordAt(rest, 1), wordAt(rest, 2)];
  const subject = SUBJECTS.has(second);
  if (wantsNotice(tokens, first, third)) return tokens;
  if (first === 'if' || first === 'whether')
    return subject && isHelper(third) ? withStart([at(rest, 2), at(rest, 1), ...rest.slice(3)]) : tokens;
  const told = ['tell', 'name'].some((verb) => tokens.slice(0, length).some(({ word }) => word === verb));
  if (told && first === 'the') return definite(tokens, rest);
  if (!WH.has(first)) return tokens;
  return withStart(direct(rest));
}

/** `Let me know when it is ready` asks for a message later, and so may `tell me when it is ready`. */
function wantsNotice(tokens: readonly Token[], first: string, verb: string): boolean {
  const frame = tokens.find(({ word }) => word !== 'please')?.word;
  const later = frame === 'let' ? ['when', 'if', 'whether'] : frame === 'tell' ? ['when'] : [];
  return later.includes(first) && /^(?:is|are|am|has|have|can|will)$/.test(verb);
}

const at = (tokens: readonly Token[], index: number): Token => tokens[index] as Token;
const withStart = ([first, ...rest]: readonly Token[]): readonly Token[] =>
  first ? [{ ...first, start: true }, ...rest] : [];
const SUBJECTS = set('i you he she it we they there this that');
const isHelper = (word: string): boolean => BE.has(word) || HAVE.has(word) || MODALS.has(word);

/** `Tell me the capital of …` is `what is the capital of …`. */
function definite(tokens: readonly Token[], rest: readonly Token[]): readonly Token[] {
  const end = rest.findIndex(({ word }, i) => i > 0 && PREPOSITIONS.has(word));
  // `Tell me the number`, `name the dog`: without what it is of, a command may ask for more than its name.
  if (end < 2) return tokens;
  const head = wordAt(rest, end - 1);
  if (
    /^(?:story|tale|legend|myth|fable|poem|riddle|truth|joke|news|answer|one|latest|rest|way|time)$/.test(head) ||
    rest.some(({ word }) => WH.has(word))
  )
    return tokens;
  const verb = head.endsWith('s') && !/(?:ss|us|is)$/.test(head) ? 'are' : 'is';
  return [tokenOf('what', true), tokenOf(verb), ...rest];
}

/** Of these the past has the same form: `tell me what you put in it`. */
const NO_PAST = set('put read let hit cut set cost hurt shut quit bet spread cast split');

/** `What the capital is`, `how tall it is`, `what I should do`, in the order of a question. */
function direct(tokens: readonly Token[]): readonly Token[] {
  const head =
    wordAt(tokens, 0) === 'how' && !SUBJECTS.has(wordAt(tokens, 1)) ? 2 : wordAt(tokens, 1) === 'time' ? 2 : 1;
  const [subject, helper] = [wordAt(tokens, head), wordAt(tokens, head + 1)];
  if (wordAt(tokens, 1) === 'to' || isHelper(subject) || ['do', 'does', 'did'].includes(subject)) return tokens;
  const last = tokens.at(-1) as Token;
  if (BE.has(last.word) && tokens.length > head + 1) return [...tokens.slice(0, head), last, ...tokens.slice(head, -1)];
  if (!SUBJECTS.has(subject)) return tokens;
  if (isHelper(helper))
    return [...tokens.slice(0, head), at(tokens, head + 1), at(tokens, head), ...tokens.slice(head + 2)];
  const plain = ['i', 'you', 'we', 'they'].includes(subject) && !NO_PAST.has(helper);
  return plain ? [...tokens.slice(0, head), tokenOf('do'), ...tokens.slice(head)] : tokens;
}

/** `On the menu, what is vegan?` is `what is vegan on the menu`. */
function withFrontLast(tokens: readonly Token[]): readonly Token[] {
  if (!isFronted(tokens)) return tokens;
  const comma = tokens.findIndex(({ word }) => word === ',');
  return [
    ...withStart(tokens.slice(comma + 1)),
    ...tokens.slice(0, comma).map(({ raw }, i) => tokenOf(i === 0 ? raw.toLowerCase() : raw)),
  ];
}

const FRONTED = set('in on at for from with to during');
/** Both verbs could take what stands in front if the question has two. */
const TWO_VERBS = set(
  'think say said know believe mean that if whether when while because and or but not after before',
);
function isFronted(tokens: readonly Token[]): boolean {
  const comma = tokens.findIndex(({ word }) => word === ',');
  const [front, rest] = [tokens.slice(0, Math.max(comma, 0)), tokens.slice(comma + 1)];
  if (comma < 2 || comma > 7 || !FRONTED.has(wordAt(front, 0)) || !isOpening(wordAt(rest, 0))) return false;
  const bare = rest.some(({ word }) => word === ',' || (PREPOSITIONS.has(word) && !FRONTED.has(word)));
  if (rest.some((token, i) => i > 1 && beginsClause(token, rest[i + 1]))) return false;
  return !bare && rest.length <= 12 && !rest.slice(1).some(({ word }) => TWO_VERBS.has(word));
}

/** `To go`, `seeing him`, `who won`: what stands in front may belong to this verb. */
function beginsClause({ word }: Token, next: Token | undefined): boolean {
  if (WH.has(word) || /^.{3,}ing$/.test(word)) return true;
  if (word !== 'to' || next === undefined || !/^\p{Ll}/u.test(next.raw)) return false;
  return !ARTICLES.has(next.word) && !PRONOUNS.has(next.word);
}

/** `How do I`, `how can I` and `how to`. The person is kept: `how do you` may ask about the one who answers. */
function usualHow(tokens: readonly Token[]): readonly Token[] {
  if (wordAt(tokens, 0) !== 'how') return tokens;
  const [helper, subject] = [wordAt(tokens, 1), wordAt(tokens, 2)];
  const length = (helper === 'do' || helper === 'can') && subject === 'i' ? 3 : helper === 'to' ? 2 : 0;
  const verb = wordAt(tokens, length);
  if (length === 0 || verb === '' || verb === 'not' || states.has(verb)) return tokens;
  return [at(tokens, 0), tokenOf('to'), ...tokens.slice(length)];
}

/** `What is France's capital?` is `what is the capital of France`, for what places and works have. */
function owner(tokens: readonly Token[]): readonly Token[] {
  const mark = tokens.findIndex(({ word }) => word === POSSESSIVE);
  const asks = wordAt(tokens, 0) === 'what' && BE.has(wordAt(tokens, 1));
  if (!asks || mark < 3 || mark !== tokens.length - 2 || !owned.has(wordAt(tokens, -1))) return tokens;
  return [...tokens.slice(0, 2), tokenOf('the'), at(tokens, mark + 1), tokenOf('of'), ...tokens.slice(2, mark)];
}

/** `The World Cup in 1998` at the end is `the 1998 World Cup`. */
function usualTime(tokens: readonly Token[]): readonly Token[] {
  const [before, year] = [wordAt(tokens, -2), wordAt(tokens, -1)];
  if (before !== 'in' || !/^(?:1[5-9]|20)\d\d$/.test(year)) return tokens;
  let from = tokens.length - 2;
  while (from > 0 && /^\p{Lu}/u.test(at(tokens, from - 1).raw)) from -= 1;
  if (from > tokens.length - 3 || wordAt(tokens, from - 1) !== 'the' || from < 2) return tokens;
  return [...tokens.slice(0, from), tokens.at(-1) as Token, ...tokens.slice(from, -2)];
}
