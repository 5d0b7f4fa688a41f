/** A server-sent event as a client reads it. */
export interface ReadEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: string;
}

/** The events of an answer, by the rules of WHATWG HTML for fields that the gateway uses; ends when the answer does. */
export async function* readEvents(response: Response): AsyncGenerator<ReadEvent> {
  if (!response.body) throw new Error('the answer has no body');
  let text = '';
  for await (const chunk of response.body.pipeThrough(
    new TextDecoderStream() as never,
  ) as unknown as AsyncIterable<string>) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(text.slice(0, end).split('\n').map(fieldOf));
      text = text.slice(end + 2);
      const data = fields.get('data');
      if (data === undefined) continue; // a comment
      const id = fields.get('id');
      yield { event: fields.get('event') ?? 'message', data, ...(id !== undefined && { id }) };
    }
  }
}

function fieldOf(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}

/** All events of an answer, as long as it lasts. */
export async function allEvents(response: Response): Promise<ReadEvent[]> {
  const events: ReadEvent[] = [];
  for await (const event of readEvents(response)) events.push(event);
  return events;
}

/** The first `most` events of an address behind `after`; then the client leaves. */
export async function someEvents(url: string, after: string | undefined, most: number): Promise<ReadEvent[]> {
  const headers = { ...(after !== undefined && { 'last-event-id': after }) };
  const response = await fetch(url, { headers });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const events: ReadEvent[] = [];
  for await (const event of readEvents(response)) {
    events.push(event);
    if (events.length >= most) break; // the connection with it
  }
  return events;
}
