import { isNoun } from '../verifier/thesaurus.js';
import { usualAmounts } from './amounts.js';
import { isNamed, isTitled, withoutGreetings, withoutPauses, withoutThanks } from './courtesies.js';
import { usualHow } from './how-to.js';
import { basesOfPast, SAME_AS_PAST } from './inflection.js';
import { isHelper, isOpening, SUBJECTS, withoutEnd } from './mood.js';
import { withDigits } from './numbers.js';
import { usualOrder } from './order.js';
import { compile, compileRewrite, lengthAt, rewritten } from './pattern.js';
import { ALIASES, FRAMES, REQUESTS, REWRITES } from './rewrites.js';
import { usualSwitch } from './switches.js';
import { asking, type Token, tokenOf, wordAt } from './tokens.js';
import {
  contents,
  isSuperlative,
  ofAge,
  owner,
  placed,
  usualMost,
  usualStart,
  usualTime,
  usualWhich,
  withPronoun,
} from './usual-forms.js';
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
  const bare = isTitled(tokens) ? tokens : withoutThanks(withoutGreetings(withoutPauses(tokens)));
  let form = withoutEnd(bare, { isRequest, mainOf });
  form = usualAmounts(withAliases(withDigits(withPronoun(form))));
  form = withoutFrame(form);
  form = withFrontLast(form);
  form = usualMost(usualStart(usualWhich(form)));
  form = usualHow(placed(ofAge(form)));
  for (const rewrite of rewrites) form = rewritten(form, rewrite) ?? form;
  return usualOrder(usualSwitch(usualTime(owner(contents(form)))));
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
  const frame = tokens.slice(0, length);
  if (wantsNotice(frame, rest)) return asking(tokens, 'a message later');
  if (asksOfKnowledge(frame, rest)) return asking(tokens, 'what one knows');
  if (first === 'if' || first === 'whether')
    return subject && isHelper(third) ? withStart([at(rest, 2), at(rest, 1), ...rest.slice(3)]) : tokens;
  // `Show me how you swim` wants to see it.
  if (has(frame, 'show') && rest.slice(0, 4).some(({ word }) => word === 'you')) return tokens;
  const told = has(frame, 'tell') || has(frame, 'name');
  if (told && first === 'the') return definite(tokens, rest, has(frame, 'name'));
  if (!WH.has(first)) return tokens;
  return withStart(direct(rest));
}

const has = (tokens: readonly Token[], word: string): boolean => tokens.some((token) => token.word === word);

/**
 * `Let me know when it is ready` and `let me know who wins` ask for a message later, and so may `tell me when it is ready` and `tell me
 * if I should stop`. What something is, is asked at once.
 */
function wantsNotice(frame: readonly Token[], clause: readonly Token[]): boolean {
  const verb = frame.find(({ word }) => word !== 'please')?.word;
  const [first, helper] = [wordAt(clause, 0), wordAt(clause, 2)];
  const awaited = first === 'when' || ((first === 'if' || first === 'whether') && COMING.has(helper));
  const later = has(frame, 'let') || (verb === 'tell' && awaited);
  return later && !(WH.has(wordAt(clause, 0)) && BE.has(wordAt(clause, -1)));
}

const COMING = set('should will shall must would');

/** `Do you know what you want` and `do you know how to swim` ask what one knows; `do you know what it is`, what it is. */
const asksOfKnowledge = (frame: readonly Token[], clause: readonly Token[]): boolean =>
  wordAt(frame, -1) === 'know' &&
  wordAt(frame, 0) === 'do' &&
  (wordAt(clause, 1) === 'to' || clause.some(({ word }) => word === 'you' || word === 'your'));

const at = (tokens: readonly Token[], index: number): Token => tokens[index] as Token;
const withStart = ([first, ...rest]: readonly Token[]): readonly Token[] =>
  first ? [{ ...first, start: true }, ...rest] : [];

/**
 * `Tell me the capital of …` is `what is the capital of …`.
 *
 * @param names the text begins with `name`
 */
function definite(tokens: readonly Token[], rest: readonly Token[], names: boolean): readonly Token[] {
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
  if (names && verb === 'is' && !isOneOf(rest.slice(0, end + 1))) return tokens;
  return [tokenOf('what', true), tokenOf(verb), ...rest];
}

/** `Name the capital of Peru`, `name the longest river in Asia` ask which one it is; `name the dog in it` may ask for a new name. */
function isOneOf(thing: readonly Token[]): boolean {
  const head = wordAt(thing, -2);
  if (ROLES.has(head)) return wordAt(thing, -1) === 'of';
  return GEOGRAPHIC.has(head) && thing.some(({ word }) => isSuperlative(word));
}
const ROLES = set('capital currency author director painter composer inventor founder president king queen mayor');
const GEOGRAPHIC = set('river lake mountain volcano desert ocean sea continent country city state island planet');

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
  // `Tell me what you put in it`, `tell me what they felt`: it may be past.
  const past = SAME_AS_PAST.has(helper) || basesOfPast(helper).length > 0;
  const plain = ['i', 'you', 'we', 'they'].includes(subject) && !past;
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
  if (!belongsToAll(front, rest)) return false;
  const bare = rest.some(({ word }) => word === ',' || (PREPOSITIONS.has(word) && !FRONTED.has(word)));
  if (rest.some((token, i) => i > 1 && beginsClause(token, rest[i + 1]))) return false;
  return !bare && rest.length <= 12 && !rest.slice(1).some(({ word }) => TWO_VERBS.has(word));
}

/**
 * Whether what stands in front belongs to the whole question wherever it stands. Behind a thing it could belong to that: `in pyjamas,
 * did he shoot the elephant`, `in Turkey, can I use a phone I bought`, `in English, what is a poem`. Only a screen of something that one
 * asks how to do stands with the whole then.
 */
function belongsToAll(front: readonly Token[], rest: readonly Token[]): boolean {
  // `For the hike, what do I wear`, `to open an account, what do I need`.
  if (!AT.has(wordAt(front, 0))) return front[0]?.word !== 'with' && OPEN.has(wordAt(rest, -1));
  const asksWhat = BE.has(wordAt(rest, 0)) || (WH.has(wordAt(rest, 0)) && BE.has(wordAt(rest, 1)));
  const things = rest.filter(({ word }, i) => i > 0 && !OF_ONE.has(word) && (ARTICLES.has(word) || isNoun(word)));
  const hasObject = rest.some(({ word }) => word === 'a' || word === 'an') || things.length > (asksWhat ? 2 : 0);
  // `At work, how do I prove I was injured`, `at work, who thinks I sleep`.
  const isHelped = rest.slice(0, 2).some(({ word }) => isHelper(word) || ['do', 'does', 'did'].includes(word));
  const hasClause = rest.filter(({ word }) => SUBJECTS.has(word)).length > (isHelped ? 1 : 0);
  if (!hasObject && !hasClause) return true;
  const onScreen = wordAt(usualHow(rest), 1) === 'to' && front.some(({ word }) => SCREENS.has(word));
  return onScreen && isNoun(wordAt(rest, -1)) && !rest.slice(4).some(({ word }) => SUBJECTS.has(word));
}
const OF_ONE = set('i you we they he she it');
const AT = set('in on at during');
const OPEN = set('need cost wear do bring pay');
const SCREENS = set(
  'app settings spreadsheet browser menu dashboard document editor terminal inbox account website portal table',
);

/** `To go`, `seeing him`, `who won`: what stands in front may belong to this verb. */
function beginsClause({ word }: Token, next: Token | undefined): boolean {
  if (WH.has(word) || /^.{3,}ing$/.test(word)) return true;
  if (word !== 'to' || next === undefined || !/^\p{Ll}/u.test(next.raw)) return false;
  return !ARTICLES.has(next.word) && !PRONOUNS.has(next.word);
}
