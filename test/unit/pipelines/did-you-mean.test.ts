import { expect, it } from 'vitest';
import { closest, didYouMean } from '../../../pipelines/did-you-mean.js';

const KNOWN = ['retry', 'timeout', 'hedge', 'cache', 'fallback', 'optional', 'k'];

it.each([
  ['timout', 'timeout'],
  ['tiemout', 'timeout'],
  ['TimeOut', 'timeout'],
  ['fallbacks', 'fallback'],
  ['opt', 'optional'],
  ['chace', 'cache'],
])('%s stands for %s', (name, meant) => {
  expect(closest(name, KNOWN)).toBe(meant);
  expect(didYouMean(name, KNOWN)).toBe(`; did you mean "${meant}"?`);
});

it.each(['', 'x', 'kk', 'model', 'time', 'retry', 'prompt', 'x'.repeat(100_000)])(
  '%.20s stands for nothing',
  (name) => {
    expect(closest(name, KNOWN)).toBe(name === 'time' ? 'timeout' : undefined);
  },
);

it('looks at some hundred names of callers, however many there are', () => {
  let seen = 0;
  function* names() {
    for (; seen < 100_000; seen++) yield `${'a'.repeat(58)}${seen}`;
  }
  expect(closest('b'.repeat(60), names())).toBeUndefined();
  expect(seen).toBe(500);
});
