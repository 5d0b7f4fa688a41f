import { expect, test } from 'vitest';
import { parsePrefer } from '../../../../gateway/rest/prefer.js';
import { fastest } from '../../../support/fastest.js';

const parse = (header: string | undefined) => parsePrefer(header, 55_500);

test.each([
  [undefined, 0, undefined],
  ['', 0, undefined],
  ['wait=30', 30_000, 'wait=30'],
  ['Wait = 30', 30_000, 'wait=30'],
  ['wait="30"', 30_000, 'wait=30'],
  ['wait=0', 0, 'wait=0'],
  ['wait=007', 7_000, 'wait=7'],
  ['wait=600', 55_000, 'wait=55'],
  ['wait=86400', 55_000, 'wait=55'],
  ['respond-async', 0, 'respond-async'],
  ['respond-async, wait=10', 10_000, 'respond-async, wait=10'],
  ['wait=10, respond-async', 10_000, 'respond-async, wait=10'],
  ['wait=5, wait=50', 5_000, 'wait=5'],
  ['return=minimal; foo="a, b;c", wait=5; x', 5_000, 'wait=5'],
  ['handling=lenient', 0, undefined],
  [', wait=5 ,,', 5_000, 'wait=5'],
])('%s', (header, waitMs, applied) => {
  expect(parse(header)).toEqual(applied === undefined ? { waitMs } : { waitMs, applied });
});

test.each([
  'wait',
  'wait=',
  'wait=abc',
  'wait=-1',
  'wait=1.5',
  'wait=1e3',
  'wait=30s',
  'wait=86401',
  'wait=99999999999',
])('%s is refused', (header) => {
  expect(() => parse(header)).toThrow(
    expect.objectContaining({
      code: 'INVALID_HEADER',
      details: { fields: [expect.objectContaining({ field: 'Prefer' })] },
    }),
  );
});

test.each(['wait 30', '=30', 'wait=30=40', 'wait="30', 'wait=(30)', '{}', 'a b, wait=30'])(
  '%s is malformed',
  (header) => {
    expect(() => parse(header)).toThrow(expect.objectContaining({ code: 'INVALID_HEADER' }));
  },
);

test('a hostile header is read in linear time', () => {
  const headers = [
    `wait=${'a'.repeat(15_000)}!(`,
    `${';a='.repeat(5_000)}(`,
    `a${' ;'.repeat(8_000)}(`,
    `a="${'\\a'.repeat(8_000)}`,
  ];
  const tookMs = fastest(() => {
    for (const header of headers) expect(() => parse(header)).toThrow();
  }, 3);
  expect(tookMs).toBeLessThan(500);
});
