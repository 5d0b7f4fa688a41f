import { editDistance } from '../../pipelines/edit-distance.js';

/**
 * ` (did you mean "a100"?)` if a known name is within a third of the wrong one's length, else a list of the known
 * names.
 */
export function nearest(wrong: string, known: readonly string[]): string {
  const [best] = (wrong.length > LONGEST ? [] : known.filter(({ length }) => length <= LONGEST))
    .map((name) => ({ name, distance: editDistance(wrong, name) }))
    .sort((a, b) => a.distance - b.distance);
  if (best && best.distance <= Math.max(1, Math.floor(wrong.length / 3))) return ` (did you mean "${best.name}"?)`;
  return known.length > 0 ? ` (there are ${known.slice(0, MOST_NAMES).join(', ')})` : '';
}

/** Longer names are not compared: each takes a step for every pair of letters. */
const LONGEST = 100;

/** Most names to list: as many as fit on a line. */
const MOST_NAMES = 8;
