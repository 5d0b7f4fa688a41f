import { cut, onOneLine } from './notes.js';

/**
 * What a sentence is worth to a later turn: what only the conversation has, names, numbers and decisions, outlives questions and
 * courtesies. Judged by form alone, in any language that has question marks; capitals tell names where not every noun has one.
 */
export const WORTH = { question: 0, statement: 1, particulars: 2 } as const;

/** Between sentences that were not next to each other. */
const GAP = ' … ';

/** End of a sentence. What has fewer than three letters before its full stop may be an abbreviation: `Mr.`, `No.`. */
const BETWEEN_SENTENCES = /\n+|(?<=[\p{L}\p{N}"'”’)\]-]{3}[.!?…])\s+|(?<=[。！？])/u;
const BETWEEN_CLAUSES = /(?<=[,;:–—])\s+/u;

const QUESTION = /[?？؟]["'”’)\]\s]*$/u;
/** Number, word in capitals, quotation, and a word with a capital that does not begin the sentence. */
const PARTICULARS = /\p{N}|\p{Lu}{2}|["“„«「『]\S|[\p{L}\p{N}.,;)’]\s+\(?\p{Lu}\p{L}/u;

/** Of the best of its sentences. */
export const worthOf = (text: string): number => Math.max(WORTH.question, ...sentencesOf(text).map(worthOfSentence));

/**
 * A text on one line, of at most so many characters: its sentences of the greatest worth, in their order; of a sentence that is too long
 * its clauses.
 */
export function gist(text: string, most: number): string {
  const line = onOneLine(text);
  if (line.length <= most) return line;
  const pieces = sentencesOf(text).flatMap((each) => (each.length > most ? each.split(BETWEEN_CLAUSES) : [each]));
  const worths = pieces.map(worthOfSentence);
  const best = pieces.map((_, i) => i).toSorted((a, b) => (worths[b] as number) - (worths[a] as number) || a - b);
  const kept = new Set<number>();
  let left = most;
  for (const i of best) {
    const length = (pieces[i] as string).length + GAP.length;
    // What is worth most is kept in part rather than what is worth less as a whole.
    if (length > left && kept.size === 0) return cut(pieces[i] as string, most);
    if (length > left) continue;
    kept.add(i);
    left -= length;
  }
  return joined(pieces, kept);
}

/** The sentences of a text that are worth most, on one line. */
export function core(text: string): string {
  const sentences = sentencesOf(text);
  const most = worthOf(text);
  return joined(sentences, new Set(sentences.flatMap((each, i) => (worthOfSentence(each) === most ? [i] : []))));
}

export const sentencesOf = (text: string): string[] =>
  text
    .trim()
    .split(BETWEEN_SENTENCES)
    .map(onOneLine)
    .filter((sentence) => sentence !== '');

function worthOfSentence(sentence: string): number {
  if (QUESTION.test(sentence)) return WORTH.question;
  return PARTICULARS.test(sentence) ? WORTH.particulars : WORTH.statement;
}

const joined = (pieces: readonly string[], kept: ReadonlySet<number>): string =>
  pieces.reduce((line, piece, i) => {
    if (!kept.has(i)) return line;
    return `${line}${line === '' ? '' : kept.has(i - 1) ? ' ' : GAP}${piece}`;
  }, '');
