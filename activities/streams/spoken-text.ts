import { setImmediate } from 'node:timers/promises';
import { SentenceSplitter } from '../../pipelines/plan/sentences.js';

/** Characters that are divided into sentences at a time, some milliseconds: a worker has other calls meanwhile. */
const AT_ONCE = 16_384;

/** The sentences of a text, with the white space between them. */
export async function piecesOf(text: string, signal: AbortSignal): Promise<string[]> {
  const splitter = new SentenceSplitter();
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += AT_ONCE) {
    for (const piece of splitter.push(text.slice(at, at + AT_ONCE))) pieces.push(piece);
    if (at + AT_ONCE < text.length) await setImmediate();
    signal.throwIfAborted();
  }
  return [...pieces, ...splitter.end()];
}

/**
 * The rest of a text behind what is spoken of it, whose white space may differ: a stream that was lost had other pieces than the text
 * has sentences. Undefined if the text does not begin with it.
 */
export function behind(whole: string, spoken: string): string | undefined {
  let at = 0;
  for (const character of spoken.replace(/\s+/gu, '')) {
    while (/\s/u.test(whole.charAt(at))) at += 1;
    if (!whole.startsWith(character, at)) return undefined;
    at += character.length;
  }
  return whole.slice(at);
}
