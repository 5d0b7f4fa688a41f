import { MillraceError } from '../../../pipelines/errors.js';

/** Of a line, and of an event's data, in characters. */
const LONGEST = 4 * 1_024 * 1_024;

interface Line {
  readonly text: string;
  /** The stream ended without the end of this line. */
  readonly cut?: true;
}

/** The lines of a stream of UTF-8, ended by LF, CRLF or CR. Throws `INVALID_OUTPUT` for a line that is too long. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, longest = LONGEST): AsyncGenerator<Line, void> {
  // Only what is new is searched: a long line in many chunks would be searched again with each.
  let held: string[] = [];
  let length = 0;
  let afterReturn = false;
  for await (const text of textsOf(chunks)) {
    const lines = text.split(/\r\n|\n|\r/);
    // The second half of a CRLF that two chunks share.
    if (afterReturn && text.startsWith('\n')) lines.shift();
    afterReturn = text.endsWith('\r');
    const rest = lines.pop() ?? '';
    for (const line of lines) {
      yield { text: held.join('') + line };
      [held, length] = [[], 0];
    }
    held.push(rest);
    length += rest.length;
    if (length > longest) throw tooLong('line', longest);
  }
  const last = held.join('');
  if (last !== '') yield { text: last, cut: true };
}

/**
 * Text as it arrives: a character in two chunks is in one text.
 * @param cut the error of a stream that ends within a character. Absent: the character becomes U+FFFD
 */
export async function* textsOf(chunks: AsyncIterable<Uint8Array>, cut?: () => Error): AsyncGenerator<string, void> {
  const decoder = new TextDecoder('utf-8');
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== '') yield text;
  }
  const rest = decoder.decode();
  if (rest !== '' && cut) throw cut();
  if (rest !== '') yield rest;
}

interface ServerEvent {
  /** Its name; empty for a line of JSON. */
  readonly event: string;
  readonly data: string;
  /** The stream ended without the empty line that ends an event, or without the end of the line. */
  readonly cut?: true;
}

/**
 * Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. Throws `INVALID_OUTPUT` for one that is too long.
 * @param longest most characters of a line, and of an event's data
 * @param orLines a stream whose first line begins with `{`, empty ones aside, is of lines of JSON: each is an event without a name
 */
export async function* eventsOf(
  chunks: AsyncIterable<Uint8Array>,
  longest = LONGEST,
  orLines = false,
): AsyncGenerator<ServerEvent, void> {
  let event = '';
  let data: string[] = [];
  let length = 0;
  let areLines: boolean | undefined = orLines ? undefined : false;
  for await (const { text: line, cut } of linesOf(chunks, longest)) {
    if (areLines !== false && line.trim() === '') continue;
    areLines ??= line.trimStart().startsWith('{');
    if (areLines) {
      yield { event: '', data: line, ...(cut && { cut }) };
      continue;
    }
    if (line === '') {
      if (data.length > 0) yield { event: event || 'message', data: data.join('\n') };
      [event, data, length] = ['', [], 0];
      continue;
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === 'event') event = value;
    if (name !== 'data') continue;
    data.push(value);
    // With its line end: lines without characters take memory too.
    length += value.length + 1;
    if (length > longest) throw tooLong('event', longest);
  }
  // Some servers end the last event with the connection.
  if (data.length > 0) yield { event: event || 'message', data: data.join('\n'), cut: true };
}

const tooLong = (what: string, longest: number): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `a ${what} of the stream is longer than ${longest / 1_024 / 1_024} MiB`);
