import type { JsonObject } from '../json.js';

/** What a message says, as text: its media are named only, `[image]`. For summaries and estimates. */
export function saidIn({ content, parts = [] }: { content: string; parts?: readonly JsonObject[] }): string {
  const more = parts.map(({ type, text }) => (type === 'text' ? String(text) : `[${String(type)}]`));
  return [content, ...more].filter((part) => part !== '').join(' ');
}

/** Between the texts of two turns in what an agent says: a paragraph each, so that no sentence goes on in the next turn. */
const BETWEEN_TURNS = '\n\n';

/** What precedes the text of an agent's next turn, in all that it says. `said`: the texts of its turns so far, together. */
export const beforeTurn = (said: string): string => (said === '' ? '' : `${said}${BETWEEN_TURNS}`);

/** What an agent has said with one more turn's text. A text without words adds nothing, nor does white space at the end. */
export const saidWith = (said: string, text: string): string =>
  text.trim() === '' ? said : `${beforeTurn(said)}${text.trimEnd()}`;
