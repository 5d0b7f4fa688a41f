/** Opens a response whose first byte is byte `from`; undefined: there are no more. Throws what ends the stream. */
type Open = (from: number, signal: AbortSignal) => Promise<Response | undefined>;

/**
 * The bytes of responses that follow each other: where a connection is lost, the next one goes on behind what was received.
 * @param pause waits before the connection is opened again; `again`: how often in a row without a byte
 * @param left ends the stream with an error, as `open` throws it. Both get a signal that aborts with it, or when the stream is cancelled.
 */
export function resumedBytes(
  open: Open,
  pause: (again: number, signal: AbortSignal) => Promise<void>,
  left?: AbortSignal,
): ReadableStream<Uint8Array> {
  let received = 0;
  let again = 0;
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let cancelled = false;
  const over = new AbortController();
  const end = () => over.abort(left?.reason);
  left?.addEventListener('abort', end, { once: true });
  if (left?.aborted) end();
  const release = () => left?.removeEventListener('abort', end);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          while (!cancelled) {
            if (reader === undefined) {
              const response = await open(received, over.signal);
              if (cancelled) return await response?.body?.cancel();
              if (!response?.body) {
                release();
                return controller.close();
              }
              // A server that knows no ranges begins at the beginning.
              if (received > 0 && response.status !== 206) throw new Error('the audio cannot be resumed here');
              reader = response.body.getReader();
            }
            const next = await reader.read().catch(() => undefined);
            if (cancelled) return;
            if (next?.done) {
              release();
              return controller.close();
            }
            if (next) {
              received += next.value.length;
              again = 0;
              return controller.enqueue(next.value);
            }
            reader = undefined;
            await pause(again++, over.signal);
          }
        } catch (error) {
          release();
          throw error;
        }
      },
      async cancel(reason) {
        cancelled = true;
        release();
        const ended = reader?.cancel(reason);
        over.abort(reason);
        await ended;
      },
    },
    { highWaterMark: 0 },
  );
}
