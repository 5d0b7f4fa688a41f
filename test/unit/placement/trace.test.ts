import { describe, expect, it } from 'vitest';
import { readTrace } from '../../../placement/trace/index.js';
import { examples } from './reference-examples.js';
import { refusal } from './refusal.js';

describe('a trace', () => {
  it('is read as the reference shows it', () => {
    const { timesMs, sizes } = readTrace(examples('csv')[0] ?? '');
    expect([...timesMs]).toEqual([0, 350, 1100]);
    expect(Object.keys(sizes)).toEqual(['audio_s', 'tokens_in', 'tokens_out']);
    expect([...(sizes.tokens_in ?? [])]).toEqual([210, 260, 198]);
  });

  it('needs no names without sizes, begins anywhere and skips what is no data', () => {
    expect([...readTrace('\ufeff# from the gateway\r\n100.5\r\n\r\n101\r\n').timesMs]).toEqual([0, 500]);
  });

  it.each([
    ['empty', '', ['trace.csv:1: the trace is empty: give at least one line timestamp_s[,size…]']],
    ['empty but for its names', 'timestamp_s,tokens_in\n', [expect.stringMatching(/^trace.csv:1: the trace is empty/)]],
    ['unsorted', '0\n2\n1\n', ['trace.csv:3: 1 comes after 2: sort the lines by time']],
    ['with a word', '0\nsoon\n', ['trace.csv:2: "soon" is not made of numbers: correct or remove it']],
    ['with a hole', 'timestamp_s,n\n0,\n', [expect.stringMatching(/^trace.csv:2: "0," is not made of numbers/)]],
    ['with a size below nothing', 'timestamp_s,n\n0,-1\n', [expect.stringMatching(/^trace.csv:2: a size is negative/)]],
    ['with a column too few', 'timestamp_s,n\n0\n', ['trace.csv:2: it has 1 columns, not 2: give timestamp_s,n']],
    ['with sizes without names', '0,5\n', [expect.stringMatching(/^trace.csv:1: the sizes have no names/)]],
  ])('is refused when it is %s', (_, text, fields) => {
    expect(refusal(() => readTrace(text))).toEqual({ code: 'INVALID_TRACE', fields });
  });

  it('takes times for seconds that are written with decimals, and for milliseconds what is whole and far apart', () => {
    const minutes = (spell: (s: number) => string) =>
      `${Array.from({ length: 30 }, (_, i) => spell(60 * i)).join('\n')}\n`;
    for (const digits of [1, 6]) {
      expect(readTrace(minutes((s) => s.toFixed(digits))).timesMs[29]).toBe(29 * 60_000);
    }
    expect(refusal(() => readTrace(minutes(String))).fields).toEqual([
      expect.stringMatching(/the times look like milliseconds: .* write them with decimals, as 0\.0$/),
    ]);
  });

  it('names at most twenty wrong lines', () => {
    expect(refusal(() => readTrace(`0\n${'x\n'.repeat(50)}`)).fields).toHaveLength(20);
  });
});
