import { lengthOf, middleOut, SAID } from './notes.js';
import { resemblance } from './resemblance.js';
import { sentencesOf, WORTH, worthOfSentence } from './worth.js';

/**
 * What was said and has no room among the notes is set aside: sentences that the model is not sent until a prompt asks about them. A
 * conversation keeps far more of them than its model has context for.
 */

/** Characters of all that is set aside in a conversation. */
const ASIDE = 8_192;
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
export function asideOf(said: readonly string[], shown: readonly string[]): string[] {
  const sentences = said
    .filter((note) => note.startsWith(SAID))
    .flatMap((note) => sentencesOf(note.slice(SAID.length, SAID_AT_ONCE)));
  const apart = [...new Set(sentences)].filter(
    (sentence) => worthOfSentence(sentence) > WORTH.question && !shown.some((note) => note.includes(sentence)),
  );
  return withinLimit(apart).map((sentence) => `${SAID}${sentence}`);
}

function withinLimit(sentences: readonly string[]): readonly string[] {
  let over = lengthOf(sentences.map((sentence) => `${SAID}${sentence}`)) - ASIDE;
  if (over <= 0) return sentences;
  const gone = new Set<number>();
  const byWorth = sentences.map((sentence, i) => ({ i, worth: worthOfSentence(sentence) }));
  for (const { i } of byWorth.toSorted((a, b) => a.worth - b.worth || a.i - b.i)) {
    if (over <= 0) break;
    gone.add(i);
    over -= lengthOf([`${SAID}${sentences[i]}`]);
  }
  return sentences.filter((_, i) => !gone.has(i));
}

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
