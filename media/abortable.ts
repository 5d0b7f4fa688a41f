/**
 * Yields the same items until `signal` aborts, then throws its reason. Stops reading and decoding a long file when its
 * result is no longer needed.
 */
export async function* abortable<T>(items: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void> {
  for await (const item of items) {
    signal?.throwIfAborted();
    yield item;
  }
}
