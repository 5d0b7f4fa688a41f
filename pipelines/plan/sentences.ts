const ENDS: ReadonlySet<string> = new Set(['.', '!', '?', '…', '。', '！', '？']);
const CLOSERS: ReadonlySet<string> = new Set(['"', '”', '’', ')', ']']);

/**
 * Splits a text into its sentences, trimmed and in order; none for a text without words. A sentence ends at white space
 * after `.`, `!`, `?` or `…` and closing marks, and at a line end. Linear time, even for a model's degenerate reply.
 */
export function sentences(text: string): string[] {
  const found: string[] = [];
  let start = 0;
  let ended = false;
  const cut = (end: number): void => {
    const sentence = text.slice(start, end).trim();
    if (sentence !== '') found.push(sentence);
    start = end;
    ended = false;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === '\n' || (ended && isSpace(char))) cut(at);
    else if (ENDS.has(char)) ended = true;
    else if (!CLOSERS.has(char)) ended = false;
  }
  cut(text.length);
  return found;
}

const isSpace = (char: string): boolean => char.trim() === '';
