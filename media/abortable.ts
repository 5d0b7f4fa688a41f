/**
 * The same items until `signal` aborts; then its reason is thrown in place of the next one. A long file is read and decoded
 * piece by piece: without this, one that nobody waits for any more would be read to its end.
 */
export async function* abortable<T>(items: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void> {
  for await (const item of items) {
    signal?.throwIfAborted();
    yield item;
  }
}
