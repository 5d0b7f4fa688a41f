import { expect, test } from 'vitest';
import { HeldText } from '../../../../activities/connectors/openai/held-text.js';
import { fastest } from '../../../support/fastest.js';

const emitted = (chunks: readonly string[]): string[] => {
  const all: string[] = [];
  const held = new HeldText((chunk) => void all.push(String(chunk)));
  for (const chunk of chunks) held.emit(chunk);
  return all;
};

test.each([
  [
    ['It', ' is'],
    ['It', ' is'],
  ],
  [
    [' ', '\n', 'It'],
    ['', '', ' \nIt'],
  ],
  [
    ['`x', '` is'],
    ['`x', '` is'],
  ],
  [
    ['\n', '`', '` is'],
    ['', '', '\n`` is'],
  ],
])('text that is no call passes at once: %j', (chunks, all) => {
  expect(emitted(chunks)).toEqual(all);
});

test.each([[['{"na', 'me"']], [['[', '{']], [['`', '``json\n', '{']], [['\n{"a"']]])(
  'text that may be a call is only a sign of life: %j',
  (chunks) => {
    expect(emitted(chunks).join('')).toBe('');
    expect(emitted(chunks)).toHaveLength(chunks.length);
  },
);

test('what turns out to be an answer passes whole', () => {
  const all: string[] = [];
  const held = new HeldText((chunk) => void all.push(String(chunk)));
  held.emit('{"a"');
  held.emit(':1}');
  held.release();
  held.release();
  expect(all).toEqual(['', '', '{"a":1}']);
});

test('a model that writes white space without end costs no more with each piece', () => {
  const spaces = Array<string>(20_000).fill(' '.repeat(100));
  expect(fastest(() => void emitted(spaces), 2)).toBeLessThan(1_000);
  expect(emitted([...spaces, '{'])).toHaveLength(spaces.length + 1);
});
