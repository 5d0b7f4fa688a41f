import { saidIn } from '../../../pipelines/plan/index.js';
import type { KeptMessage } from './kept.js';

/**
 * What is kept word for word of messages that a summary replaces: what the user said, and what was called with what
 * result. A summary written by a model may lose either, and then the agent would ask or pay again.
 */

/** Beginning of a note's line, by which it is found again in a summary. */
const MARK = '• ';
/** Beginning of the line of what is set aside. */
const ASIDE_MARK = '◦ ';

const BEGINS_AS_ASIDE = /^◦ /gmu;
const HEADING = 'Word for word:';

/** What notes begin with, by whose they are. */
export const SAID = 'user: ';
export const ANSWERED = 'assistant: ';
const CALLED = 'called ';

/** Lengths of a note, in characters: where there is room, where there is little, and of a call without its result. */
const LONG = { said: 400, arguments: 160, result: 160 };
export const SHORT = 120;
const CALL = 80;
/** What separates a call from its result. */
const RESULT = ' → ';

/** How notes become shorter. */
export interface Keeping {
  /** A text on one line, of at most so many characters. */
  readonly short: (text: string, most: number) => string;
  /** The notes, oldest first, within so many characters. */
  readonly within: (notes: readonly string[], characters: number) => string[];
}

/** A summary: the model's text, the notes, and what is set aside, which the model is not sent. */
export interface Summary {
  readonly text: string;
  readonly notes: readonly string[];
  readonly aside: readonly string[];
}

export const EMPTY: Summary = { text: '', notes: [], aside: [] };

export const summaryText = ({ text, notes, aside }: Summary): string =>
  [
    text.replace(BEGINS_AS_ASIDE, '- '),
    ...(notes.length > 0 ? [HEADING, ...notes.map((note) => `${MARK}${note}`)] : []),
    ...aside.map((note) => `${ASIDE_MARK}${note}`),
  ]
    .filter((line) => line !== '')
    .join('\n');

/** Whether something is set aside in a summary. */
export const hasAside = (summary: string): boolean => summary.search(BEGINS_AS_ASIDE) >= 0;

/** A summary as it was made by `summaryText`. */
export function readSummary(summary: string | undefined): Summary {
  if (summary === undefined) return EMPTY;
  const lines = summary.split('\n');
  const marked = (mark: string) => lines.flatMap((line) => (line.startsWith(mark) ? [line.slice(mark.length)] : []));
  const isText = (line: string) => !line.startsWith(MARK) && !line.startsWith(ASIDE_MARK) && line !== HEADING;
  return { text: lines.filter(isText).join('\n'), notes: marked(MARK), aside: marked(ASIDE_MARK) };
}

/** Notes of removed messages, oldest first. */
export function notesOf(messages: readonly KeptMessage[], { short }: Pick<Keeping, 'short'>): string[] {
  return messages.flatMap((message, i) => {
    const { role, content, toolCalls = [] } = message;
    if (role === 'user') return [`${SAID}${short(saidIn(message), LONG.said)}`];
    if (role !== 'assistant') return [];
    const said = content === '' ? [] : [`${ANSWERED}${short(content, LONG.result)}`];
    const results = messages.slice(i + 1, i + 1 + toolCalls.length);
    const calls = toolCalls.map(({ name, arguments: given }, at) => {
      const result = results[at]?.role === 'tool' ? `${RESULT}${cut(results[at].content, LONG.result)}` : '';
      return `${CALLED}${name}(${cut(JSON.stringify(given), LONG.arguments)})${result}`;
    });
    return [...said, ...calls];
  });
}

/** Length of notes in a summary, in characters. */
export const lengthOf = (notes: readonly string[]): number =>
  notes.reduce((sum, note) => sum + note.length + MARK.length + 1, 0);

/** Of a call the note without its result; another note as it is. */
export const withoutResult = (note: string): string =>
  note.startsWith(CALLED) ? cut(note.split(RESULT, 1)[0] as string, CALL) : note;

/** The notes without those that `goes`, the oldest first, for as long as they do not fit. */
export function withoutOldest(
  notes: readonly string[],
  characters: number,
  goes: (note: string) => boolean = () => true,
): string[] {
  let over = lengthOf(notes) - characters;
  return notes.filter((note) => {
    if (over <= 0 || !goes(note)) return true;
    over -= lengthOf([note]);
    return false;
  });
}

/** Messages as one text, for a model to sum up: a conversation with calls is not accepted without its tools. */
export const transcriptOf = (messages: readonly KeptMessage[]): string =>
  messages
    .map((message) => {
      const { role, toolCalls = [] } = message;
      const calls = toolCalls.map(({ name, arguments: given }) => `calls ${name}(${JSON.stringify(given)})`);
      return `${role}: ${[saidIn(message), ...calls].filter((part) => part !== '').join('; ')}`;
    })
    .join('\n');

/** The beginning and the end of a text, together at most `characters` long. */
export function middleOut(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const half = Math.max(0, Math.floor((characters - 3) / 2));
  return `${text.slice(0, half)}\n…\n${text.slice(text.length - half)}`;
}

/** The beginning of a text, on one line: a line break would end the note. */
export function cut(text: string, most: number): string {
  const line = onOneLine(text);
  return line.length > most ? `${line.slice(0, Math.max(0, most - 1))}…` : line;
}

export const onOneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
