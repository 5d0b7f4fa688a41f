import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { between } from './between-texts.js';

/** About half a minute of speech. Voices are trained on sentences and lose their tone in much longer texts. */
const LONGEST = 400;

/**
 * Ends of sentences and lines; of clauses; of words. Tried in this order, on text with collapsed white space. The
 * look-ahead comes first, so that the look-behind runs only at possible breaks, not at every character. `parts`: those of scripts
 * without spaces, each with the mark behind it.
 */
const BREAKS: readonly { readonly at: RegExp; readonly parts?: RegExp }[] = [
  {
    at: /(?=\s)(?<=[.!?…\p{Sentence_Terminal}]["”’)\]]*)\s|\n/u,
    parts: /[^。！？｡]*(?:[。！？｡]+["”’」』】）)\]]*|$)/gu,
  },
  { at: /(?<=[,;:—–，；：،])\s/u, parts: /[^、，；：]*(?:[、，；：]+|$)/gu },
  { at: /\s/u },
];

/** A letter, a digit or an emoji. */
const WORD = /[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]/u;

/**
 * Whether a text has anything that every voice says. For marks and signs alone, such as Markdown’s `---`, many servers answer with an error
 * or without samples. That includes `€` alone, since `$$` and `|` are signs as well.
 */
export const hasWord = (text: string): boolean => WORD.test(text);

/**
 * Text split into passages of at most 400 characters: as many whole sentences as fit; a longer sentence is split at its
 * clauses, a longer clause between words. Passages without a word are left out, unless no passage has one: some voices do say
 * something for marks alone. There are none for white space.
 */
export function speakable(text: string): string[] {
  const passages: string[] = [];
  for (const piece of pieces(spaced(text), 0)) {
    const last = passages.at(-1);
    if (last !== undefined && last.length + 1 + piece.length <= LONGEST)
      passages[passages.length - 1] = `${last}${between(last, piece)}${piece}`;
    else passages.push(piece);
  }
  const said = passages.filter(hasWord);
  return said.length > 0 ? said : passages;
}

/** The passages of a `synthesize` call. Throws `INVALID_INPUT` if its text is empty or white space. */
export function passagesOf({ text }: JsonObject): readonly string[] {
  const passages = speakable(typeof text === 'string' ? text : (text as readonly string[]).join(' '));
  if (passages.length > 0) return passages;
  throw nothingToSay();
}

/** The failure of a text that is empty or white space. */
export const nothingToSay = (): MillraceError =>
  new MillraceError('INVALID_INPUT', 'there is nothing to say: the text is empty', {
    fields: [{ field: 'text', message: 'empty' }],
  });

/**
 * Collapses each run of white space to one character, a line break if the run contains one. A caller's text may be a
 * megabyte of spaces, on which a pattern such as `\s*\n` takes quadratic time.
 */
const spaced = (text: string): string => text.trim().replace(/\s+/gu, (run) => (run.includes('\n') ? '\n' : ' '));

function pieces(text: string, level: number): string[] {
  if (text.length <= LONGEST) return text === '' ? [] : [text];
  const breaks = BREAKS[level];
  if (breaks === undefined) return slices(text);
  const { at, parts } = breaks;
  const divided = text.split(at).flatMap((part) => (parts ? (part.match(parts) ?? []) : part));
  return divided.flatMap((part) => pieces(part.trim(), level + 1));
}

const WORDS = new Intl.Segmenter(undefined, { granularity: 'word' });

/** Splits what has no spaces and is too long to speak at once: between words, a "word" that is too long between code points. */
function slices(text: string): string[] {
  const result: string[] = [];
  for (let at = 0; at < text.length; ) {
    const head = text.slice(at, at + LONGEST);
    const slice = head.length < LONGEST ? head : head.slice(0, cutIn(head));
    result.push(slice);
    at += slice.length;
  }
  return result;
}

/** Before the last word, which may go on. */
function cutIn(head: string): number {
  // Half a code point would be a segment of its own.
  const whole = head.replace(/[\uD800-\uDBFF]$/, '');
  return WORDS.segment(whole).containing(whole.length - 1)?.index || whole.length;
}
