import { expect, test } from 'vitest';
import { conversationOf, readRunInput } from '../../../../gateway/agui/run-input.js';
import type { Json } from '../../../../pipelines/json.js';

/** The message of a user who says this, as the pipeline gets it. */
function saying(...content: readonly object[]) {
  const messages = [{ id: '1', role: 'user', content }];
  const body = JSON.parse(JSON.stringify({ threadId: 't', runId: 'r', messages })) as Json;
  return conversationOf(readRunInput(body)).turns.map(({ message }) => message);
}

const text = { type: 'text', text: 'What is it?' };
const data = 'JVBERi0xLjc=';

test.each([
  [
    { mimeType: 'image/png', data },
    { type: 'image', image: { mime: 'image/png', base64: data } },
  ],
  [
    { mimeType: 'audio/wav', data },
    { type: 'audio', audio: { mime: 'audio/wav', base64: data } },
  ],
  [
    { mimeType: 'application/pdf', data, filename: 'a.pdf' },
    { type: 'file', file: { mime: 'application/pdf', base64: data }, name: 'a.pdf' },
  ],
  [
    { mimeType: 'Audio/WAV', data, url: null, filename: null },
    { type: 'audio', audio: { mime: 'audio/wav', base64: data } },
  ],
  [
    { mimeType: 'video/mp4', data: null, url: 'https://media.test/a.mp4', filename: 'a.mp4' },
    { type: 'video', video: { uri: 'https://media.test/a.mp4' } },
  ],
])('a binary part of clients before 1.0 is media by its type: %j', (binary, part) => {
  expect(saying(text, { type: 'binary', ...binary })).toEqual([
    { role: 'user', content: 'What is it?', parts: [part] },
  ]);
});

test('a file by an id is refused: none are kept here', () => {
  const message = expect.stringContaining('needs data or a url');
  expect(() => saying({ type: 'binary', mimeType: 'image/png', id: 'file-1' })).toThrow(
    expect.objectContaining({ code: 'INVALID_INPUT', message }),
  );
});
