/**
 * Sentence boundaries by Unicode's sentence terminals and rules for what does not end a sentence. ICU's own rules
 * (`Intl.Segmenter`, granularity `sentence`) end a sentence after "Dr." and differ between releases; they serve to cut
 * between words where no boundary comes.
 */

/** Marks that end a sentence: `.`, `!`, `?`, `…`, `。`, `।`, `؟` and those of other scripts. */
const TERMINAL = /[\p{Sentence_Terminal}…]/u;
/** Those that need no white space behind them. */
const WIDE = /[。！？｡．]/u;
const CLOSER = /["'”’»)\]}」』）】》*_]/u;
const CLAUSE = /[,;:—–、，；：][\s"”’)]*/gu;

/** Never the end of a sentence. */
const TITLES = words(
  'mr mrs ms mx dr prof rev hon st mt ft gen col maj capt lt sgt gov sen rep pres vs no nr fig figs eq sec ch vol pp ed eds ' +
    'cf al approx ca e.g i.e viz resp dept univ assn tel ext est z.b d.h u.a o.ä bzw evtl ggf hr fr frl str bsp mme mlle sra srta ud uds ' +
    'jan feb mar apr jun jul aug sept sep oct nov dec',
);
/** May end one: before a capital letter they do. */
const OPEN = words('etc usw inc ltd co corp jr sr bros a.m p.m ph.d b.a m.a m.d u.s.a');

/** Behind these a number with a period is an ordinal of German, whose nouns have capitals: "am 3. Oktober", "3. und 4. Mai". */
const BEFORE_ORDINAL =
  /(?:(?<!\bI\s)\bam|\b(?:vom|zum|zur|beim|im|ins|der|die|das|dem|den|des|ab|bis|seit|(?:mon|diens|donners|frei|sams|sonn)tag,?|mittwoch,?|sonnabend,?)|(?<!\d)\d{1,3}\.(?:\s+(?:und|oder|bis))?)\s+\d{1,3}$/i;

/** Words of a sentence's beginning, not names, before the "Sr." of Spanish and Portuguese. */
const BEFORE_SR = words('el al del un su mi o ao do pelo estimado estimada querido distinguido caro prezado hola olá');

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '));
}

/**
 * Which rules: 2 knows ordinals ("am 3. Oktober"), "Sr. García" and full-width decimals, which end no sentence. Plans evaluate 1 in
 * workflows, where other sentences would be other commands on replay.
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

  /** Rules 1 cut before any segment of a piece that is too long: plans keep their sentences. */
  get #mayCut(): MayCut | undefined {
    return this.#rules === 2 ? isBeforeWord : undefined;
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
    const end = boundary(this.#pending, this.#from, 'settle', this.#rules);
    return end === undefined || this.#pending.slice(end).trim() !== '' ? undefined : this.#cut(end);
  }

  /** Cuts the pending text at its last clause, else at its last word; undefined if it is too short to be spoken alone. */
  force(): string | undefined {
    if (this.#pending.trim().length < LEAST_CUT) return undefined;
    const end = breakIn(this.#pending, isBeforeWord);
    return end === undefined ? undefined : this.#cut(end);
  }

  #take(final: boolean): string[] {
    const pieces: string[] = [];
    for (;;) {
      // No piece is longer, so no step looks further: a degenerate text takes linear time too.
      const head = this.#pending.slice(0, LONGEST_SENTENCE + LOOK_AHEAD);
      const whole = head.length === this.#pending.length;
      const end = boundary(head, this.#from, final && whole ? 'end' : 'more', this.#rules);
      if (end !== undefined && end <= LONGEST_SENTENCE) pieces.push(this.#cut(end));
      else if (this.#pending.length > LONGEST_SENTENCE)
        pieces.push(this.#cut(breakIn(head.slice(0, LONGEST_SENTENCE), this.#mayCut) ?? anywhere(head, this.#rules)));
      else break;
    }
    this.#from = undecided(this.#pending);
    return pieces;
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

/**
 * Index behind the first sentence of a text; undefined if there is none, or more text is needed to tell.
 * @param then what follows: more text, none, or none for the time being
 */
function boundary(text: string, from: number, then: 'more' | 'end' | 'settle', rules: Rules): number | undefined {
  const first = text.search(/\S/);
  let at = from;
  while (at < text.length) {
    const char = text[at] as string;
    if (char === '\n' && first >= 0 && first < at) return at;
    if (!TERMINAL.test(char)) {
      at += 1;
      continue;
    }
    let end = at + 1;
    while (end < text.length && TERMINAL.test(text[end] as string)) end += 1;
    const marks = text.slice(at, end);
    while (end < text.length && CLOSER.test(text[end] as string)) end += 1;
    const closed = end - at - marks.length > 0;
    if (end === text.length && then === 'more') return undefined;
    const next = nextWord(text, end);
    const wide = WIDE.test(marks);
    if (!wide && end < text.length && !isSpace(text[end] as string)) {
      at = end;
      continue;
    }
    // Whether a period ends a sentence shows in what follows.
    if (next === undefined && then === 'more' && !wide) return undefined;
    if (
      inCode(text, at) ||
      (rules === 2 && isDecimal(text, at, end, then)) ||
      !ends(text, at, { marks, closed, wide, next: next ?? (then === 'settle' ? UNKNOWN : undefined), rules })
    ) {
      at = end;
      continue;
    }
    return end;
  }
  return undefined;
}

/** What follows is not known: a capital letter, for what it decides. */
const UNKNOWN = 'X';

interface Marks {
  readonly marks: string;
  /** A quote or bracket closes behind them. */
  readonly closed: boolean;
  readonly wide: boolean;
  readonly next: string | undefined;
  readonly rules: Rules;
}

/** A full-width period within a number: "３．１４". */
const isDecimal = (text: string, at: number, end: number, then: 'more' | 'end' | 'settle'): boolean =>
  text.slice(at, end) === '．' &&
  /\p{Nd}$/u.test(text.slice(0, at)) &&
  (end < text.length ? /^\p{Nd}/u.test(text.slice(end)) : then === 'settle');

function ends(text: string, at: number, { marks, closed, wide, next, rules }: Marks): boolean {
  if (wide || next === undefined || next === '\n')
    return text.slice(0, at).trim() !== '' && !isListNumber(text, at, marks);
  const lower = /\p{Lowercase_Letter}/u.test(next);
  if (marks !== '.') return !(lower && (closed || /^(\.{2,}|…)/u.test(marks)));
  if (lower) return false;
  if (isListNumber(text, at, marks)) return false;
  const word = /[\p{L}\p{N}.]*$/u.exec(text.slice(Math.max(0, at - 24), at))?.[0] ?? '';
  const known = word.toLowerCase();
  if (TITLES.has(known)) return false;
  if (rules === 2) {
    if (/^\d+$/.test(word) && BEFORE_ORDINAL.test(text.slice(Math.max(0, at - 32), at))) return false;
    if (known === 'sr' && !followsName(text.slice(0, at - word.length))) return false;
  }
  if (OPEN.has(known)) return /[\p{Uppercase_Letter}"“«(]/u.test(next);
  // An initial, as in "J. Smith", or letters with periods, as in "U.S. Army".
  if (/^(\p{Lu}|(\p{L}\.)+\p{L})$/u.test(word) && word !== 'I') return false;
  return true;
}

/** Whether a text ends with a name, as before "Sr." in English: "John Smith, Sr." */
function followsName(text: string): boolean {
  const before = /(\p{Lu}[\p{L}.'’-]*),?\s+$/u.exec(text.slice(-40))?.[1];
  return before !== undefined && !BEFORE_SR.has(before.toLowerCase());
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

/** Where the search for a boundary goes on when more text has arrived: at the last marks, which it may change. */
function undecided(text: string): number {
  let at = text.length;
  while (at > 0 && isSpace(text[at - 1] as string)) at -= 1;
  while (at > 0 && CLOSER.test(text[at - 1] as string)) at -= 1;
  while (at > 0 && TERMINAL.test(text[at - 1] as string)) at -= 1;
  return at;
}

/** Whether a text may be cut before one of its segments, behind another one. */
type MayCut = (segment: Intl.SegmentData, before: Intl.SegmentData | undefined) => boolean;

/** Never before a mark, also behind a space, so that no piece is a mark alone; nor within "well-known", nor behind the quotation mark of a word. */
const isBeforeWord: MayCut = ({ isWordLike = false }, before) =>
  isWordLike && (before?.isWordLike === true || PARTS_WORDS.test(before?.segment ?? ''));

/** White space, the zero-width space of Khmer and Thai, and the mark between syllables of Tibetan. */
const PARTS_WORDS = /^[\s\u200B\u0F0B]*$/u;

/** Behind the last clause of a text, else before its last word; undefined if that leaves too little. */
function breakIn(text: string, mayCut: MayCut = () => true): number | undefined {
  const first = text.search(/\S/);
  const rest = first < 0 ? -1 : text.slice(first + LEAST_CUT - 1).search(/\S/);
  if (rest < 0) return undefined;
  // Up to an index behind this one there is enough.
  const enough = first + LEAST_CUT - 1 + rest;
  let clause: number | undefined;
  for (const { index, 0: mark } of text.matchAll(CLAUSE)) {
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
    if (segment.index > enough && mayCut(segment, before)) word = segment.index;
    if (segment.index > enough && segment.isWordLike) joined = segment.index;
    before = segment;
  }
  // Nothing but marks is between some words, as in a path.
  return word ?? joined;
}

/** Where a text without words is cut: within no character, which rules 1 do not look after. */
const anywhere = (text: string, rules: Rules): number =>
  rules === 2 && /[\uD800-\uDBFF]/.test(text[LONGEST_SENTENCE - 1] ?? '') ? LONGEST_SENTENCE - 1 : LONGEST_SENTENCE;

const isSpace = (char: string): boolean => char.trim() === '';
