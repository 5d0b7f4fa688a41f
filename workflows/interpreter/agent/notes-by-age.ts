import { cut, type Keeping, lengthOf, SAID, SHORT, withoutOldest, withoutResult } from './notes.js';

/**
 * Notes as they were shortened before `notes-by-worth`: all lose their end, then calls their results, then the oldest notes go,
 * what the user said last. Runs from before go on with it: what they command depends on the length of their notes.
 */
export const NOTES_BY_AGE: Keeping = {
  short: cut,
  within(notes, characters) {
    if (lengthOf(notes) <= characters) return [...notes];
    const shorter = notes.map((note) => cut(note, SHORT));
    if (lengthOf(shorter) <= characters) return shorter;
    const left = withoutOldest(shorter.map(withoutResult), characters, (note) => !note.startsWith(SAID));
    return withoutOldest(left, characters);
  },
};
