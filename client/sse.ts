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
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A CR at the end may be half of a CR LF.
      const whole = text.endsWith('\r') && !done ? text.slice(0, -1) : text;
      const parts = whole.split(/\r\n|\n|\r/);
      const rest = parts.pop() ?? '';
      yield* parts;
      if (done) return;
      text = rest + text.slice(whole.length);
    }
  } finally {
    // The connection is closed when the consumer stops reading.
    await reader.cancel().catch(() => undefined);
  }
}
