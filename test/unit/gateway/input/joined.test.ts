import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { joined } from '../../../../gateway/input/joined.js';

const MEBIBYTE = 1024 * 1024;
const piecesOf = (count: number, bytes: number) => Array.from({ length: count }, () => randomBytes(bytes));

it('joins what is small at once', () => {
  const pieces = piecesOf(3, 1_000);
  const whole = Buffer.concat(pieces);
  expect(joined(pieces, whole.length)).toEqual(whole);
  expect(pieces).toEqual([]);
});

it('joins what is large in many turns, in which others are served', async () => {
  const pieces = piecesOf(256, 65_536);
  const whole = Buffer.concat(pieces);
  let ended = false;
  const joining = Promise.resolve(joined(pieces, whole.length)).finally(() => {
    ended = true;
  });
  let turns = 0;
  while (!ended) {
    await nextTurn();
    turns += 1;
  }
  expect((await joining).equals(whole)).toBe(true);
  expect(pieces).toEqual([]);
  expect(turns).toBeGreaterThanOrEqual(whole.length / MEBIBYTE / 2);
});
