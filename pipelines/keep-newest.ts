/** The entries of a map or a set, in the order in which they were added. */
interface Entries<K> {
  readonly size: number;
  keys(): Iterable<K>;
  delete(key: K): unknown;
}

/** Removes the first entries until there are `most`: the oldest, or the longest unused ones where each use adds its entry again. */
export function keepNewest<K>(entries: Entries<K>, most: number): void {
  for (const key of entries.keys()) {
    if (entries.size <= most) return;
    entries.delete(key);
  }
}
