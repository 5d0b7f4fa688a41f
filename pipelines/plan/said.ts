import type { JsonObject } from '../json.js';

/** What a message says, as text: its media are named only, `[image]`. For summaries and estimates. */
export function saidIn({ content, parts = [] }: { content: string; parts?: readonly JsonObject[] }): string {
  const more = parts.map(({ type, text }) => (type === 'text' ? String(text) : `[${String(type)}]`));
  return [content, ...more].filter((part) => part !== '').join(' ');
}
