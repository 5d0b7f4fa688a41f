/**
 * The items of several generators as they come. The first failure ends all of them; so does a reader that leaves. At most
 * one item of each is held.
 */
export async function* merged<T>(...sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T, void> {
  const next = (source: AsyncGenerator<T>) => {
    const pending = source.next().then((result) => ({ source, result }));
    // A failure while the reader is busy is thrown when it asks for the next item.
    pending.catch(() => undefined);
    return pending;
  };
  const waiting = new Map(sources.map((source) => [source, next(source)]));
  try {
    while (waiting.size > 0) {
      const { source, result } = await Promise.race(waiting.values());
      if (result.done) waiting.delete(source);
      else {
        waiting.set(source, next(source));
        yield result.value;
      }
    }
  } finally {
    for (const source of waiting.keys()) {
      // One that waits for an item ends behind it.
      source.return(undefined).catch(() => undefined);
    }
  }
}
