import { ANSWERED, cut, type Keeping, lengthOf, SAID, SHORT, withoutOldest, withoutResult } from './notes.js';
import { core, gist, WORTH, worthOf } from './worth.js';

/** One way to make notes shorter; it ends as soon as they fit. */
type Step = (notes: readonly string[], characters: number) => string[];

/** Changes notes, the oldest first. */
const changed =
  (change: (note: string) => string): Step =>
  (notes, characters) => {
    const left = [...notes];
    let over = lengthOf(left) - characters;
    for (const [i, note] of notes.entries()) {
      if (over <= 0) break;
      const after = change(note);
      left[i] = after;
      over += after.length - note.length;
    }
    return left;
  };

/** Drops notes, the oldest first. */
const without =
  (goes: (note: string) => boolean): Step =>
  (notes, characters) =>
    withoutOldest(notes, characters, goes);

const textOf = (note: string): string => note.slice(note.indexOf(': ') + 2);
const isSaid = (note: string): boolean => note.startsWith(SAID);
const isAnswered = (note: string): boolean => note.startsWith(ANSWERED);

const shorter = (note: string): string => {
  const label = [SAID, ANSWERED].find((each) => note.startsWith(each));
  return label === undefined ? cut(note, SHORT) : `${label}${gist(textOf(note), SHORT - label.length)}`;
};
/** Of the user's notes only the sentences that are worth most. */
const barer = (note: string): string => (isSaid(note) ? `${SAID}${core(textOf(note))}` : note);

const isBelow = (note: string, worth: number): boolean => worthOf(textOf(note)) < worth;

/** In this order, until the notes fit. */
const STEPS: readonly Step[] = [
  changed((note) => (isSaid(note) ? note : shorter(note))),
  without((note) => isAnswered(note) && isBelow(note, WORTH.particulars)),
  changed(barer),
  changed(withoutResult),
  without(isAnswered),
  without((note) => isSaid(note) && isBelow(note, WORTH.statement)),
  changed(shorter),
  without((note) => !isSaid(note)),
  without((note) => isBelow(note, WORTH.particulars)),
  without(() => true),
];

/**
 * Notes that lose what is worth least first, the oldest first: what the assistant said; of what the user said courtesies and questions; results of
 * calls, and calls. Last of all go names and numbers that the user gave.
 */
export const NOTES_BY_WORTH: Keeping = {
  short: gist,
  within: (notes, characters) => STEPS.reduce((left, step) => step(left, characters), [...notes]),
};
