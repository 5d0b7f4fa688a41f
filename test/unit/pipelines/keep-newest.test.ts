import { expect, it } from 'vitest';
import { keepNewest } from '../../../pipelines/keep-newest.js';

it('removes the first entries of a map or a set, and none where there is room', () => {
  const map = new Map([1, 2, 3, 4].map((n) => [n, `${n}`]));
  keepNewest(map, 2);
  expect([...map]).toEqual([
    [3, '3'],
    [4, '4'],
  ]);
  const set = new Set(['a', 'b']);
  keepNewest(set, 2);
  expect([...set]).toEqual(['a', 'b']);
  set.delete('a');
  set.add('a');
  keepNewest(set, 1);
  expect([...set]).toEqual(['a']);
  keepNewest(set, 0);
  expect(set.size).toBe(0);
});
