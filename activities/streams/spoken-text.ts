import { setImmediate } from 'node:timers/promises';
import { SentenceSplitter } from '../../pipelines/plan/sentences.js';
import { hasWord } from '../connectors/speakable.js';
import type { SpokenChunk } from './spoken-chunk.js';

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
 * has sentences. Between its pieces may be marks that were passed over, since a voice says nothing for them. Undefined if the text does not
 * begin with it.
 */
export function behind(whole: string, spoken: readonly Pick<SpokenChunk, 'text'>[]): string | undefined {
  let at = 0;
  for (const { text } of spoken) {
    // Marks before the first word of a piece may be its own.
    const end = behindOne(whole, at, text) ?? behindOne(whole, nextWord(whole, at), text.slice(nextWord(text, 0)));
    if (end === undefined) return undefined;
    at = end;
  }
  return whole.slice(at);
}

/** Where a text ends that begins at this index of another one, but for white space; undefined if it does not. */
function behindOne(whole: string, from: number, spoken: string): number | undefined {
  let at = from;
  for (const character of spoken.replace(/\s+/gu, '')) {
    while (/\s/u.test(whole.charAt(at))) at += 1;
    if (!whole.startsWith(character, at)) return undefined;
    at += character.length;
  }
  return at;
}

/** Index of the first word at or behind this one, else the end. */
function nextWord(text: string, from: number): number {
  let at = from;
  while (at < text.length && !hasWord(String.fromCodePoint(text.codePointAt(at) ?? 0))) at += 1;
  return at;
}
