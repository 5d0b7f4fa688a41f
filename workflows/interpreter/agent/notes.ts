import { saidIn } from '../../../pipelines/plan/index.js';
import type { KeptMessage } from './kept.js';

/**
 * What is kept word for word of messages that a summary replaces: what the user said, and what was called with what
 * result. A summary written by a model may lose either, and then the agent would ask or pay again.
 */

/** Beginning of a note's line, by which it is found again in a summary. */
const MARK = '• ';

/** Lengths of a note, in characters: where there is room, where there is little, and of a call without its result. */
const LONG = { said: 400, arguments: 160, result: 160 };
const SHORT = 120;
const CALL = 80;
/** What separates a call from its result. */
const RESULT = ' → ';

/** A summary: the model's text, and the notes. */
export interface Summary {
  readonly text: string;
  readonly notes: readonly string[];
}

export const EMPTY: Summary = { text: '', notes: [] };

export const summaryText = ({ text, notes }: Summary): string =>
  [text, ...(notes.length > 0 ? ['Word for word:', ...notes.map((note) => `${MARK}${note}`)] : [])]
    .filter((line) => line !== '')
    .join('\n');

/** A summary as it was made by `summaryText`. */
export function readSummary(summary: string | undefined): Summary {
  if (summary === undefined) return EMPTY;
  const lines = summary.split('\n');
  return {
    text: lines.filter((line) => !line.startsWith(MARK) && line !== 'Word for word:').join('\n'),
    notes: lines.filter((line) => line.startsWith(MARK)).map((line) => line.slice(MARK.length)),
  };
}

/** Notes of removed messages, oldest first. */
export function notesOf(messages: readonly KeptMessage[]): string[] {
  return messages.flatMap((message, i) => {
    const { role, content, toolCalls = [] } = message;
    if (role === 'user') return [`user: ${short(saidIn(message), LONG.said)}`];
    if (role !== 'assistant') return [];
    const said = content === '' ? [] : [`assistant: ${short(content, LONG.result)}`];
    const results = messages.slice(i + 1, i + 1 + toolCalls.length);
    const calls = toolCalls.map(({ name, arguments: given }, at) => {
      const result = results[at]?.role === 'tool' ? `${RESULT}${short(results[at].content, LONG.result)}` : '';
      return `called ${name}(${short(JSON.stringify(given), LONG.arguments)})${result}`;
    });
    return [...said, ...calls];
  });
}

/**
 * The notes within `characters`. If they do not fit all become shorter, then calls lose their results, then the oldest
 * notes are removed, what the user said last.
 */
export function notesWithin(notes: readonly string[], characters: number): string[] {
  const lengthOf = (all: readonly string[]) => all.reduce((sum, note) => sum + note.length + MARK.length + 1, 0);
  if (lengthOf(notes) <= characters) return [...notes];
  const shorter = notes.map((note) => short(note, SHORT));
  if (lengthOf(shorter) <= characters) return shorter;
  const left = shorter.map((note) =>
    note.startsWith('called ') ? short(note.split(RESULT, 1)[0] as string, CALL) : note,
  );
  for (const isFirst of [(note: string) => !note.startsWith('user: '), () => true]) {
    for (let i = 0; i < left.length && lengthOf(left) > characters; ) {
      if (isFirst(left[i] as string)) left.splice(i, 1);
      else i += 1;
    }
  }
  return left;
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

/** On one line: a line break would end the note. */
function short(text: string, most: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
