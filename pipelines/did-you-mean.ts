/** Longer names, in UTF-16 units, and more names than this are not compared: both may come from callers. */
const LONGEST_NAME = 64;
const MOST_NAMES = 500;

/** The known name that `name` probably stands for; undefined if none is close. Case is ignored. */
export function closest(name: string, known: Iterable<string>): string | undefined {
  if (name === '' || name.length > LONGEST_NAME) return undefined;
  const meant = name.toLowerCase();
  let best: { readonly name: string; readonly edits: number } | undefined;
  let compared = 0;
  for (const candidate of known) {
    if (++compared > MOST_NAMES) break;
    if (candidate === name || candidate.length > LONGEST_NAME) continue;
    const other = candidate.toLowerCase();
    const most = allowed(Math.min(meant.length, other.length));
    const begins = other.startsWith(meant) && meant.length >= 3;
    if (!begins && Math.abs(meant.length - other.length) > most) continue;
    const edits = begins ? 1 : editsBetween(meant, other);
    if (edits <= most && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) {
      best = { name: candidate, edits };
    }
  }
  return best?.name;
}

/** A question to append to a message, `; did you mean "retry"?`, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const meant = closest(name, known);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}

/** More edits than these in a name of this length make another word. */
const allowed = (length: number): number => (length <= 2 ? 0 : length <= 4 ? 1 : length <= 8 ? 2 : 3);

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) that turn one text into another. */
function editsBetween(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, (before[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
