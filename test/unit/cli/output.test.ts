import { expect, it } from 'vitest';
import { table } from '../../../cli/output.js';

it('a table has columns as wide as their widest cell on a terminal: colours take no room, wide characters two columns', () => {
  const rows = [
    ['paris', 7, 'x'],
    ['\u001b[32mok\u001b[39m', 1_000, 'x'],
    ['東京', 10, 'x'],
  ];
  expect(table(['name', 'n', 'end'], rows).split('\n')).toEqual([
    'name   n     end',
    'paris     7  x',
    '\u001b[32mok\u001b[39m     1000  x',
    '東京     10  x',
  ]);
});

it('a cell beyond the headings stands without padding', () => {
  expect(table(['a'], [['b', 'c']])).toBe('a\nb  c');
});
