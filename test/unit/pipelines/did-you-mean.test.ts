import { expect, it } from 'vitest';
import { closest, didYouMean } from '../../../pipelines/did-you-mean.js';
import { fastest } from '../../support/fastest.js';

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

it('is quick for names of callers', () => {
  const known = Array.from({ length: 100_000 }, (_, i) => `${'a'.repeat(58)}${i}`);
  expect(fastest(() => closest('b'.repeat(60), known))).toBeLessThan(4_000);
});
