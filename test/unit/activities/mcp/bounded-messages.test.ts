import { expect, it } from 'vitest';
import { boundedMessages } from '../../../../activities/mcp/bounded-messages.js';

const MEBIBYTE = 1_024 * 1_024;

/** What arrives of an answer of these pieces. */
async function received(type: string, pieces: Iterable<string>): Promise<number> {
  const encoder = new TextEncoder();
  const body = ReadableStream.from(
    (function* () {
      for (const piece of pieces) yield encoder.encode(piece);
    })(),
  );
  const fetched = boundedMessages(async () => new Response(body, { headers: { 'content-type': type } }));
  let length = 0;
  for await (const chunk of (await fetched('http://server.test/mcp')).body ?? []) length += chunk.length;
  return length;
}

const times = function* (count: number, piece: string) {
  for (let i = 0; i < count; i++) yield piece;
};

it.each(['application/json', 'text/event-stream'])('an answer without end breaks off: %s', async (type) => {
  await expect(received(type, times(1_000, 'x'.repeat(MEBIBYTE)))).rejects.toMatchObject({
    code: 'TOOL_FAILED',
    message: expect.stringContaining('64 MiB'),
  });
});

it.each(['\n\n', '\r\n\r\n', '\r\r'])('a stream goes on for as long as its events end: by %j', async (end) => {
  const event = `data: ${'x'.repeat(MEBIBYTE)}${end}`;
  expect(await received('text/event-stream', times(80, event))).toBe(80 * event.length);
});

it('a line end is none of an event', async () => {
  await expect(received('text/event-stream', times(80, `data: ${'x'.repeat(MEBIBYTE)}\r\n`))).rejects.toThrow('64 MiB');
});

const OBJECTS = '{},'.repeat(100_000);

it.each([
  ['application/json', '['],
  ['Application/JSON; charset=utf-8', '['],
  ['text/event-stream', 'data: ['],
  ['text/event-stream', ': "\nid: "\\\ndata: ['],
])('JSON that takes many times its length breaks off: %s, %j', async (type, start) => {
  const pieces = [start, ...times(30, OBJECTS)];
  await expect(received(type, pieces)).rejects.toMatchObject({
    code: 'TOOL_FAILED',
    message: expect.stringContaining('more than 2000000 objects'),
  });
});

it('each event of a stream has as much JSON as an answer, and a text may have any', async () => {
  const events = [
    `data: [${OBJECTS.repeat(15)}0]\n\n`,
    `data: "${OBJECTS.repeat(30)}"\n\n`,
    `data: [${OBJECTS.repeat(15)}0]\n\n`,
  ];
  expect(await received('text/event-stream', events)).toBe(events.join('').length);
  expect(await received('text/html', times(30, OBJECTS))).toBe(30 * OBJECTS.length);
});

it('JSON is as deep as a result may be', async () => {
  expect(await received('application/json', ['['.repeat(600)])).toBe(600);
  await expect(received('application/json', ['['.repeat(1_001)])).rejects.toMatchObject({ code: 'TOOL_FAILED' });
});
