import { expect, test } from 'vitest';
import { visibleText } from '../../../../pipelines/run/index.js';

test('text that shows itself stays as it is', () => {
  for (const text of ['', 'Pay 12 € to Zoë?', '支払いますか', 'ادفع', '{"a":"b\\n"}', '🙂'])
    expect(visibleText(text)).toBe(text);
});

test.each([
  ['a line break', '\n', 'a'],
  ['an escape', '\u001b', '1b'],
  ['a control of C1', '\u009b', '9b'],
  ['an override of the direction', '\u202e', '202e'],
  ['an isolate', '\u2066', '2066'],
  ['a space of no width', '\u200b', '200b'],
  ['a mark of the byte order', '\ufeff', 'feff'],
  ['a separator of lines', '\u2028', '2028'],
  ['a filler', '\u3164', '3164'],
  ['a variation selector', '\ufe00', 'fe00'],
  ['a letter of the tags', '\u{e0061}', 'e0061'],
  ['half a character', '\ud83d', 'd83d'],
])('%s is shown by its number', (_, hidden, number) => {
  expect(visibleText(`a${hidden}b`)).toBe(`a\\u{${number}}b`);
});
