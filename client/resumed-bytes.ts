/** Opens a response whose first byte is byte `from`; undefined: there are no more. Throws what ends the stream. */
type Open = (from: number) => Promise<Response | undefined>;

/**
 * The bytes of responses that follow each other: where a connection is lost, the next one goes on behind what was received.
 * @param pause waits before the connection is opened again; `again`: how often in a row without a byte
 */
export function resumedBytes(open: Open, pause: (again: number) => Promise<void>): ReadableStream<Uint8Array> {
  let received = 0;
  let again = 0;
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          if (reader === undefined) {
            const response = await open(received);
            if (!response?.body) return controller.close();
            // A server that knows no ranges begins at the beginning.
            if (received > 0 && response.status !== 206) throw new Error('the audio cannot be resumed here');
            reader = response.body.getReader();
          }
          const next = await reader.read().catch(() => undefined);
          if (next?.done) return controller.close();
          if (next) {
            received += next.value.length;
            again = 0;
            return controller.enqueue(next.value);
          }
          reader = undefined;
          await pause(again++);
        }
      },
      async cancel(reason) {
        await reader?.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
