import { expect, it } from 'vitest';
import { bytesOf } from '../../../pipelines/json-limits.js';
import type { GivenDecision, Wait } from '../../../pipelines/run/index.js';
import { Waits } from '../../../workflows/interpreter/index.js';

const waitOf = (nonce: string) => ({ nonce, path: 'pay', call: { tool: 'pay', arguments: {} } }) as unknown as Wait;
const givenOn = (nonce: string, bytes: number): GivenDecision => ({
  nonce,
  approved: true,
  arguments: { to: 'x'.repeat(bytes) },
});
const names = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `n${from + i}`);

/** Decides waits for changed arguments; each takes its decision. */
function decided(count: number, bytes: number): Waits {
  const waits = new Waits();
  for (const nonce of names(count)) {
    waits.begin(waitOf(nonce));
    waits.decide(givenOn(nonce, bytes));
    waits.end(nonce);
  }
  return waits;
}

/** Waits that the run has left for its next history. */
function left(count: number): Waits {
  const waits = new Waits();
  for (const nonce of names(count)) {
    waits.begin(waitOf(nonce));
    waits.leave(nonce);
  }
  return waits;
}

it('the latest decisions go along into a new history, as many as fit into what it begins with', () => {
  const few = decided(300, 10).carried;
  expect(Object.keys(few)).toEqual(names(256, 44));
  const large = decided(300, 15_000).carried;
  expect(bytesOf(large)).toBeLessThan(1_000_000);
  expect(Object.keys(large).at(-1)).toBe('n299');
  expect(Object.keys(large).length).toBeGreaterThan(20);
});

it('all decisions go along that their waits have not taken, whatever has been decided before and after', () => {
  const waits = decided(300, 10);
  for (const nonce of names(300, 1_000)) waits.begin(waitOf(nonce));
  for (const nonce of names(300, 1_000)) waits.decide(givenOn(nonce, 10));
  for (const nonce of names(40, 2_000)) {
    waits.begin(waitOf(nonce));
    waits.decide(givenOn(nonce, 12_000));
    waits.end(nonce);
  }
  const carried = Object.keys(waits.carried);
  expect(carried).toEqual(names(300, 1_000));
  const next = new Waits(waits.carried);
  expect(names(300, 1_000).every((nonce) => next.decisionOn(nonce) !== undefined)).toBe(true);
});

it('a decision on a wait that goes on in the next history is refused where that has no room for it, and no other', () => {
  const waits = left(300);
  const refused: string[] = [];
  const decide = (nonce: string) => {
    try {
      waits.admit(givenOn(nonce, 12_000));
    } catch (error) {
      refused.push((error as { code: string }).code);
      return;
    }
    waits.decide(givenOn(nonce, 12_000));
  };
  for (const nonce of names(300)) decide(nonce);
  expect(new Set(refused)).toEqual(new Set(['RATE_LIMITED']));
  const taken = names(300 - refused.length);
  expect(taken.length).toBeGreaterThan(30);
  expect(Object.keys(waits.carried)).toEqual(taken);
  expect(bytesOf(waits.carried)).toBeLessThanOrEqual(501_000);
  // The same one again, one on a wait that this history takes, and one on a wait that has begun again in it.
  waits.admit(givenOn('n0', 12_000));
  waits.begin(waitOf('here'));
  waits.admit(givenOn('here', 15_000));
  waits.begin(waitOf('n299'));
  waits.admit(givenOn('n299', 15_000));
});
