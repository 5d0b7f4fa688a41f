/** A server-sent event, as defined by WHATWG HTML. */
export interface ServerEvent {
  /** The last id received, possibly that of an earlier event. */
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** Yields the events of a response as they arrive; an event cut off at the end is dropped. */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let id = '';
  let type = '';
  let data: string[] = [];
  for await (const line of lines(body)) {
    if (line === '') {
      if (data.length > 0) yield { id, type: type || 'message', data: data.join('\n') };
      type = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) continue; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }
}

/** Lines end with LF, CR LF or CR; text after the last line end is dropped. */
async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // Only what is new is searched: a long line in many chunks would be searched again with each.
  let begun: string[] = [];
  let held = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const text = held + (done ? decoder.decode() : decoder.decode(value, { stream: true }));
      // A CR at the end may be half of a CR LF.
      held = text.endsWith('\r') && !done ? '\r' : '';
      const parts = text.slice(0, text.length - held.length).split(/\r\n|\n|\r/);
      const rest = parts.pop() ?? '';
      for (const part of parts) {
        yield begun.join('') + part;
        begun = [];
      }
      if (done) return;
      begun.push(rest);
    }
  } finally {
    // The connection is closed when the consumer stops reading.
    await reader.cancel().catch(() => undefined);
  }
}
