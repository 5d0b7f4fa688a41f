import { expect, it, vi } from 'vitest';
import { endWhenWritten, printJson, table } from '../../../cli/output.js';
import { terminalText } from '../../../cli/terminal-text.js';
import { wrapped } from '../../../cli/wrap.js';
import { fastest } from '../../support/fastest.js';

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

it.each([
  ['\u001b]52;c;cm0gLXJmIH4=\u0007ok', '\\u{1b}]52;c;cm0gLXJmIH4=\\u{7}ok'],
  ['\u001b[2Jgone', '\\u{1b}[2Jgone'],
  ['\u009b31mred', '\\u{9b}31mred'],
  ['safe\rrm', 'safe\\u{d}rm'],
  ['\u202etxt.exe', '\\u{202e}txt.exe'],
  ['a\r\n\tb\n', 'a\n\tb\n'],
  ['\u001b[31mno\u001b[39m', '\u001b[31mno\u001b[39m'],
  ['שלום 👩‍🔬', 'שלום 👩‍🔬'],
])('what a terminal would obey is shown by its number: %j', (text, shown) => {
  expect(terminalText(text)).toBe(shown);
});

it('JSON has nothing that a terminal would obey, and the same value', () => {
  const data = { '\u0090k': ['\u009b2Jgone', 'line\u0085', '\u007f', '\u202etxt.exe\u2066', 'ß → שלום 👩‍🔬'], n: 1 };
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  printJson(data);
  printJson(data, 2);
  const [line = '', indented = ''] = write.mock.calls.map(([text]) => String(text));
  write.mockRestore();
  for (const json of [line, indented]) {
    expect(JSON.parse(json)).toEqual(data);
    expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    expect(json).toContain('ß → שלום 👩‍🔬');
  }
  expect(line).toContain('"\\u009b2Jgone"');
});

it.each([
  ['may end by itself for three seconds', undefined, 3_000],
  ['ends at once where nothing has an end of its own', 0, 0],
])('a command that has written all %s, with the exit code that stands', async (_, endingMs, afterMs) => {
  const pending: (() => void)[] = [];
  const write = (_: unknown, done?: () => void) => {
    if (done) pending.push(done);
    return false;
  };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const mocks = [
    vi.spyOn(process.stdout, 'write').mockImplementation(write as never),
    vi.spyOn(process.stderr, 'write').mockImplementation(write as never),
  ];
  const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  try {
    const ended = endWhenWritten(endingMs);
    pending[1]?.();
    await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(10_000);
    expect(exit).not.toHaveBeenCalled();
    pending[0]?.();
    await ended;
    if (afterMs > 0) vi.advanceTimersByTime(afterMs - 1);
    expect(exit.mock.calls).toEqual(afterMs > 0 ? [] : [[]]);
    vi.advanceTimersByTime(1);
    expect(exit.mock.calls).toEqual([[]]);
  } finally {
    for (const mock of [...mocks, exit]) mock.mockRestore();
    vi.useRealTimers();
  }
});

it('a cell of a table stays on its line', () => {
  expect(table(['text'], [['a\nb\u001b[2J']])).toBe('text\na\\u{a}b\\u{1b}[2J');
});

it('a result that is one long word is wrapped as fast as it is read', () => {
  const text = `{"text":"${'x'.repeat(400_000)}"}`;
  expect(wrapped(text, 100).replace(/\n */g, '')).toBe(text);
  expect(fastest(() => void wrapped(text, 100), 1)).toBeLessThan(2_000);
});
