/**
 * ` (did you mean "a100"?)` if a known name is within a third of the wrong one's length, else a list of the known
 * names.
 */
export function nearest(wrong: string, known: readonly string[]): string {
  const [best] = (wrong.length > LONGEST ? [] : known.filter(({ length }) => length <= LONGEST))
    .map((name) => ({ name, distance: distance(wrong, name) }))
    .sort((a, b) => a.distance - b.distance);
  if (best && best.distance <= Math.max(1, Math.floor(wrong.length / 3))) return ` (did you mean "${best.name}"?)`;
  return known.length > 0 ? ` (there are ${known.slice(0, MOST_NAMES).join(', ')})` : '';
}

/** Longer names are not compared: each takes a step for every pair of letters. */
const LONGEST = 100;

/** Most names to list: as many as fit on a line. */
const MOST_NAMES = 8;

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
