import { lengthOf, middleOut, SAID } from './notes.js';
import { resemblance } from './resemblance.js';
import { sentencesOf, WORTH, worthOf } from './worth.js';

/**
 * What was said and has no room among the notes is set aside: sentences that the model is not sent until a prompt asks about them. A
 * conversation keeps far more of them than its model has context for.
 */

/** Characters of all that is set aside in a conversation. */
const ASIDE = 8_192;
/** Sentences that are compared with the notes: more than twice as many as there is ever room for. */
const MOST_COMPARED = 2_000;
/** Characters of a message that are looked at, its first ones, and of a prompt. */
const SAID_AT_ONCE = 4_000;
/** Characters and sentences that are sent beside a prompt. */
const RECALLED = 480;
const MOST_RECALLED = 4;
/** Of the sentence that resembles the prompt most, the share from which others are sent too. */
const NEAR = 0.5;

/**
 * The sentences of what was said, oldest first, that are not among the notes shown; questions are no facts. Above the limit those that are
 * worth least go first, the oldest of them first.
 * @param said notes, and sentences that are set aside already
 */
export function asideOf(said: readonly string[], shown: readonly string[]): readonly string[] {
  const notes = [...new Set(sentencesIn(said))];
  const best = notes
    .map((note) => ({ note, worth: worthOf(bare(note)) }))
    .filter(({ worth }) => worth > WORTH.question)
    .toReversed()
    .toSorted((a, b) => b.worth - a.worth);
  const kept = new Set<string>();
  let left = ASIDE;
  for (const { note } of best.slice(0, MOST_COMPARED)) {
    if (shown.some((other) => other.includes(bare(note)))) continue;
    left -= lengthOf([note]);
    if (left < 0) break;
    kept.add(note);
  }
  return notes.filter((note) => kept.has(note));
}

/** What the user said, a note for each sentence. */
export const sentencesIn = (notes: readonly string[]): string[] =>
  notes
    .filter((note) => note.startsWith(SAID))
    .flatMap((note) => sentencesOf(bare(note).slice(0, SAID_AT_ONCE)).map((sentence) => `${SAID}${sentence}`));

const bare = (note: string): string => note.slice(SAID.length);

/** What is set aside and resembles a prompt, in the order in which it was said. */
export function recalled(aside: readonly string[], prompt: string): string[] {
  const alike = resemblance(middleOut(prompt, SAID_AT_ONCE), aside);
  const best = Math.max(0, ...alike);
  if (best === 0) return [];
  const order = aside.map((_, i) => i).toSorted((a, b) => (alike[b] as number) - (alike[a] as number) || b - a);
  const chosen = new Set<number>();
  let left = RECALLED;
  for (const i of order.slice(0, MOST_RECALLED)) {
    const length = lengthOf([aside[i] as string]);
    if ((alike[i] as number) < NEAR * best || length > left) continue;
    chosen.add(i);
    left -= length;
  }
  return aside.filter((_, i) => chosen.has(i));
}
