import { isNamed, withoutGreetings, withoutPauses, withoutThanks } from './courtesies.js';
import { isHelper, isOpening, SUBJECTS, withoutEnd } from './mood.js';
import { withDigits } from './numbers.js';
import { compile, compileRewrite, lengthAt, rewritten } from './pattern.js';
import { ALIASES, FRAMES, REQUESTS, REWRITES } from './rewrites.js';
import { asking, type Token, tokenOf, wordAt } from './tokens.js';
import { contents, owner, usualHow, usualStart, usualTime, usualWhich, withPronoun } from './usual-forms.js';
import { ARTICLES, BE, PREPOSITIONS, PRONOUNS, WH } from './words.js';

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));
const frames = FRAMES.map(compile);
const requests = REQUESTS.map(compile);
const rewrites = REWRITES.map(compileRewrite);
const aliases = ALIASES.map(([from, to]) => ({ from: from.split(' '), to: to.split(' ') }));

/**
 * A plain English text in the usual form of what it says. Only the listed courtesies and forms of questions are
 * rewritten; every other word and sign is kept in its place, so that two forms are equal only if each difference of the
 * texts is one that the rules know to mean nothing.
 */
export function canonical(tokens: readonly Token[]): readonly Token[] {
  let form = withoutEnd(withoutThanks(withoutGreetings(withoutPauses(tokens))), { isRequest, mainOf });
  form = withAliases(withDigits(withPronoun(form)));
  form = withoutFrame(form);
  form = withFrontLast(form);
  form = usualStart(usualWhich(form));
  for (const rewrite of rewrites) form = rewritten(form, rewrite) ?? form;
  return usualTime(owner(usualHow(contents(form))));
}

/** Not the questions that they are about. */
const isRequest = (tokens: readonly Token[]): boolean => frames.some((frame) => lengthAt(tokens, frame) > 0);
const mainOf = (tokens: readonly Token[]): readonly Token[] =>
  isFronted(tokens) ? tokens.slice(1 + tokens.findIndex(({ word }) => word === ',')) : tokens;

function withAliases(tokens: readonly Token[]): readonly Token[] {
  const out: Token[] = [];
  for (let at = 0; at < tokens.length; ) {
    // `Manchester United`: a name before it makes another name of it.
    const alias = aliases.find(
      ({ from }) =>
        from.every((raw, i) => rawOf(tokens[at + i]) === raw) &&
        !(/^\p{Lu}/u.test(from[0] ?? '') && isNamed(tokens[at - 1])),
    );
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
  if (wantsNotice(tokens, rest)) return asking(tokens, 'a message later');
  if (asksOfKnowledge(tokens.slice(0, length), rest)) return asking(tokens, 'what one knows');
  if (first === 'if' || first === 'whether')
    return subject && isHelper(third) ? withStart([at(rest, 2), at(rest, 1), ...rest.slice(3)]) : tokens;
  const told = ['tell', 'name'].some((verb) => tokens.slice(0, length).some(({ word }) => word === verb));
  if (told && first === 'the') return definite(tokens, rest);
  if (!WH.has(first)) return tokens;
  return withStart(direct(rest));
}

/**
 * `Let me know when it is ready` and `let me know who wins` ask for a message later, and so may `tell me when it is ready`.
 * What something is, is asked at once.
 */
function wantsNotice(tokens: readonly Token[], clause: readonly Token[]): boolean {
  const frame = tokens.find(({ word }) => word !== 'please')?.word;
  const later = frame === 'let' || (frame === 'tell' && wordAt(clause, 0) === 'when');
  return later && !(WH.has(wordAt(clause, 0)) && BE.has(wordAt(clause, -1)));
}

/** `Do you know what you want` and `do you know how to swim` ask what one knows; `do you know what it is`, what it is. */
const asksOfKnowledge = (frame: readonly Token[], clause: readonly Token[]): boolean =>
  wordAt(frame, -1) === 'know' &&
  wordAt(frame, 0) === 'do' &&
  (wordAt(clause, 1) === 'to' || clause.some(({ word }) => word === 'you' || word === 'your'));

const at = (tokens: readonly Token[], index: number): Token => tokens[index] as Token;
const withStart = ([first, ...rest]: readonly Token[]): readonly Token[] =>
  first ? [{ ...first, start: true }, ...rest] : [];

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
