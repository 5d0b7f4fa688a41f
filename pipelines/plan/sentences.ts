/**
 * Sentence boundaries by Unicode's sentence terminals and rules for what does not end a sentence. ICU's own rules
 * (`Intl.Segmenter`, granularity `sentence`) end a sentence after "Dr." and differ between releases; they serve to cut
 * between words where no boundary comes.
 */

import { isAbbreviation, OPEN, partsPlural, TITLES } from './abbreviations.js';

/** Marks that end a sentence: `.`, `!`, `?`, `…`, `。`, `।`, `؟` and those of other scripts. */
const TERMINAL = /[\p{Sentence_Terminal}…]/u;
/** Those that need no white space behind them. */
const WIDE = /[。！？｡．]/u;
/** Closing marks, of rules 1 and 2; footnotes, "[1]", and emoji close a sentence for rules 2 alone. */
const CLOSERS = {
  1: /["'”’»)\]}」』）】》*_]*/uy,
  2: /(?:["'”’»)\]}」』）】》*_]|\[\d{1,3}\]|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|\u200D|\uFE0F)*/uy,
};
/** What may become one when more text has arrived. */
const BEGUN_CLOSER = /^(?:\[\d{0,3}|[\uD800-\uDBFF])$/;
/** Marks of clauses. Rules 1 do not know those of Arabic. */
const CLAUSES = { 1: /[,;:—–、，；：][\s"”’)]*/gu, 2: /[,;:—–、，；：،؛][\s"”’)]*/gu };
/** 「はい。」と言った: what is quoted goes on. */
const QUOTED = /^[」』”’"]\p{Script=Hiragana}/u;

/**
 * Which rules. 2 knows more of what ends no sentence, and of what closes one. Streams evaluate it once, as their text arrives: what is cut
 * is committed, and an attempt by another release cuts only what follows, so it may change. Plans evaluate 1 in workflows, where other
 * sentences would be other commands on replay: it may not.
 */
type Rules = 1 | 2;

/** Longest piece, in UTF-16 units: about half a minute of speech. A longer sentence is cut at a clause or a word. */
export const LONGEST_SENTENCE = 400;

/** How far behind it the next word is looked for, in UTF-16 units. */
const LOOK_AHEAD = 40;

/** Shortest piece that is cut off because its end does not come, in UTF-16 units. */
const LEAST_CUT = 24;

/**
 * Splits a text that arrives in parts into its sentences. The pieces are the text itself, with the white space before
 * each sentence: joined they are the text again, less white space at its end. Where the parts are cut does not matter.
 */
export class SentenceSplitter {
  readonly #rules: Rules;
  #pending = '';
  /** Before this index of `#pending` there is no boundary. */
  #from = 0;

  constructor(rules: Rules = 2) {
    this.#rules = rules;
  }

  /** What has no boundary yet. */
  get pending(): string {
    return this.#pending;
  }

  /** Adds more of the text; returns the sentences that are now complete. */
  push(text: string): string[] {
    this.#pending += text;
    return this.#take(false);
  }

  /** The text has ended: the rest. */
  end(): string[] {
    const pieces = this.#take(true);
    if (this.#pending.trim() !== '') pieces.push(this.#pending.trimEnd());
    this.#pending = '';
    this.#from = 0;
    return pieces;
  }

  /** The pending text if it reads as a whole sentence, although more text might show that it is none. */
  settle(): string | undefined {
    const { end } = boundary(this.#pending, this.#from, 'settle', this.#rules);
    return end === undefined || this.#pending.slice(end).trim() !== '' ? undefined : this.#cut(end);
  }

  /** Cuts the pending text at its last clause, else at its last word; undefined if it is too short to be spoken alone. */
  force(): string | undefined {
    if (this.#pending.trim().length < LEAST_CUT) return undefined;
    const end = breakIn(this.#pending, this.#rules);
    return end === undefined ? undefined : this.#cut(end);
  }

  #take(final: boolean): string[] {
    const pieces: string[] = [];
    for (;;) {
      // No piece is longer, so no step looks further: a degenerate text takes linear time too.
      const head = this.#pending.slice(0, LONGEST_SENTENCE + LOOK_AHEAD);
      const whole = head.length === this.#pending.length;
      const { end, from } = boundary(head, this.#from, final && whole ? 'end' : 'more', this.#rules);
      if (end !== undefined && end <= LONGEST_SENTENCE) pieces.push(this.#cut(end));
      else if (this.#pending.length > LONGEST_SENTENCE) {
        const longest = head.slice(0, LONGEST_SENTENCE);
        pieces.push(this.#cut(breakIn(longest, this.#rules) ?? anywhere(longest, this.#rules)));
      } else {
        this.#from = from;
        return pieces;
      }
    }
  }

  #cut(end: number): string {
    const piece = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end);
    this.#from = 0;
    return piece;
  }
}

/** The sentences of a text, trimmed and in order, as plans evaluate them; none for a text without words. Linear time. */
export function sentences(text: string): string[] {
  const splitter = new SentenceSplitter(1);
  return [...splitter.push(text), ...splitter.end()].map((piece) => piece.trim()).filter((piece) => piece !== '');
}

interface Boundary {
  /** Index behind the first sentence of the text; absent if there is none, or more text is needed to tell. */
  readonly end?: number;
  /** Before this index there is no boundary, whatever follows. */
  readonly from: number;
}

/** @param then what follows: more text, none, or none for the time being */
function boundary(text: string, from: number, then: 'more' | 'end' | 'settle', rules: Rules): Boundary {
  const first = text.search(/\S/);
  let at = from;
  while (at < text.length) {
    const char = text[at] as string;
    if (char === '\n' && first >= 0 && first < at) return { end: at, from: at };
    if (!TERMINAL.test(char)) {
      at += 1;
      continue;
    }
    let end = at + 1;
    while (end < text.length && TERMINAL.test(text[end] as string)) end += 1;
    const marks = text.slice(at, end);
    end = behindClosers(text, end, rules);
    const closed = end - at - marks.length > 0;
    const begun = end === text.length || (rules === 2 && BEGUN_CLOSER.test(text.slice(end, end + 5)));
    if (begun && then === 'more') return { from: at };
    const next = nextWord(text, end);
    const wide = WIDE.test(marks);
    if (!wide && end < text.length && !isSpace(text[end] as string)) {
      at = end;
      continue;
    }
    // Whether a period ends a sentence shows in what follows.
    if (next === undefined && then === 'more' && !wide) return { from: at };
    const plural = rules === 2 && marks === '.' && !closed ? partsPlural(text, at, end) : 'no';
    if (plural === 'perhaps' && then !== 'end') return { from: at };
    if (
      inCode(text, at) ||
      plural === 'yes' ||
      (rules === 2 && (isDecimal(text, at, end, then) || (wide && QUOTED.test(text.slice(end - 1, end + 1))))) ||
      !ends(text, at, { marks, closed, wide, next, settling: then === 'settle', rules })
    ) {
      at = end;
      continue;
    }
    return { end, from: at };
  }
  return { from: at };
}

/** Index behind the closing marks at this one. */
function behindClosers(text: string, at: number, rules: Rules): number {
  const closers = CLOSERS[rules];
  closers.lastIndex = at;
  return at + (closers.exec(text)?.[0].length ?? 0);
}

interface Marks {
  readonly marks: string;
  /** Something closes behind them: a quote, a bracket. */
  readonly closed: boolean;
  readonly wide: boolean;
  /** Undefined if there is none. */
  readonly next: string | undefined;
  /** There may be one later: it is taken for a capital letter, for what that decides. */
  readonly settling: boolean;
  readonly rules: Rules;
}

/** A full-width period within a number: "３．１４". */
const isDecimal = (text: string, at: number, end: number, then: 'more' | 'end' | 'settle'): boolean =>
  text.slice(at, end) === '．' &&
  /\p{Nd}$/u.test(text.slice(0, at)) &&
  (end < text.length ? /^\p{Nd}/u.test(text.slice(end)) : then === 'settle');

function ends(text: string, at: number, { marks, closed, wide, next: known, settling, rules }: Marks): boolean {
  const next = known ?? (settling ? 'X' : undefined);
  if (wide || next === undefined || next === '\n')
    return text.slice(0, at).trim() !== '' && !isListNumber(text, at, marks);
  const lower = /\p{Lowercase_Letter}/u.test(next);
  if (marks !== '.') return !(lower && (closed || /^(\.{2,}|…)/u.test(marks)));
  if (lower) return false;
  if (isListNumber(text, at, marks)) return false;
  const word = /[\p{L}\p{N}.]*$/u.exec(text.slice(Math.max(0, at - 24), at))?.[0] ?? '';
  if (TITLES.has(word.toLowerCase())) return false;
  if (rules === 2 && isAbbreviation(word, text.slice(0, at - word.length), known)) return false;
  if (OPEN.has(word.toLowerCase())) return /[\p{Uppercase_Letter}"“«(]/u.test(next);
  // An initial, as in "J. Smith", or letters with periods, as in "U.S. Army".
  if (/^(\p{Lu}|(\p{L}\.)+\p{L})$/u.test(word) && word !== 'I') return false;
  return true;
}

/** The number or letter of a list’s item at the beginning of a line: "1.", "a)". */
const isListNumber = (text: string, at: number, marks: string): boolean =>
  marks === '.' &&
  /(^|\n)[\s*_-]*(\d{1,3}|\p{L})$/u.test(text.slice(Math.max(0, at - 12), at)) &&
  text.slice(0, at).trim().length <= 3;

/** Within code between backticks a period ends nothing. */
function inCode(text: string, at: number): boolean {
  let ticks = 0;
  for (let i = 0; i < at; i++) if (text[i] === '`') ticks += 1;
  return ticks % 2 === 1;
}

/** The first character of the next word, or a line break before it; undefined if none is there yet. */
function nextWord(text: string, from: number): string | undefined {
  for (let at = from; at < text.length; at++) {
    const char = text[at] as string;
    if (char === '\n' || !isSpace(char)) return String.fromCodePoint(text.codePointAt(at) as number);
  }
  return undefined;
}

/**
 * Whether a text may be cut before one of its segments, behind another one: never before a mark, also behind a space, so that no piece is a
 * mark alone; nor within "well-known", nor behind the quotation mark of a word. Rules 1 cut before any segment: plans keep their sentences.
 */
const mayCut = (
  { isWordLike = false }: Intl.SegmentData,
  before: Intl.SegmentData | undefined,
  rules: Rules,
): boolean => rules === 1 || (isWordLike && (before?.isWordLike === true || PARTS_WORDS.test(before?.segment ?? '')));

/** White space, the zero-width space of Khmer and Thai, and the mark between syllables of Tibetan. */
const PARTS_WORDS = /^[\s\u200B\u0F0B]*$/u;

/** Behind the last clause of a text, else before its last word; undefined if that leaves too little. */
function breakIn(text: string, rules: Rules): number | undefined {
  const first = text.search(/\S/);
  const rest = first < 0 ? -1 : text.slice(first + LEAST_CUT - 1).search(/\S/);
  if (rest < 0) return undefined;
  // Up to an index behind this one there is enough.
  const enough = first + LEAST_CUT - 1 + rest;
  let clause: number | undefined;
  for (const { index, 0: mark } of text.matchAll(CLAUSES[rules])) {
    const end = index + mark.trimEnd().length;
    // "1,000" and "10:30" are no clauses.
    const breaks = /[、，；：—]/u.test(mark) || isSpace(text[end] ?? '');
    if (breaks && end > enough) clause = end;
  }
  if (clause !== undefined) return clause;
  let word: number | undefined;
  let joined: number | undefined;
  // The last word may be incomplete.
  let before: Intl.SegmentData | undefined;
  for (const segment of new Intl.Segmenter(undefined, { granularity: 'word' }).segment(text)) {
    if (segment.index > enough && mayCut(segment, before, rules)) word = segment.index;
    if (segment.index > enough && segment.isWordLike) joined = segment.index;
    before = segment;
  }
  // Nothing but marks is between some words, as in a path.
  return word ?? joined;
}

/**
 * Where a text is cut that has no words: before its last character, of which more may come, such as a skin tone or the other half of a flag.
 * At its end if it is one character, or white space, and by rules 1, which look after none.
 */
function anywhere(text: string, rules: Rules): number {
  if (rules === 1 || text.trim() === '') return text.length;
  const whole = text.replace(/[\uD800-\uDBFF]$/, '');
  const segments = new Intl.Segmenter(undefined, { granularity: 'word' }).segment(whole);
  return segments.containing(whole.length - 1)?.index || whole.length;
}

const isSpace = (char: string): boolean => char.trim() === '';
