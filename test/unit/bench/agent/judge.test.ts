import { describe, expect, it } from 'vitest';
import { normalised, states } from '../../../../bench/agent/sessions/judge.js';

describe('what counts as stating a fact', () => {
  it.each([
    ['Your budget is 7,350 euros.', '7350'],
    ['The budget is €7.350,00', '7350'],
    ['It must arrive on March 14th, I believe.', 'March 14'],
    ['On the 14th of March.', '14 March'],
    ['Room B217', 'B-217'],
    ['in room b-217!', 'B-217'],
    ['Señor NOVÁK', 'novak'],
    ['Number: **48213**', '48213'],
  ])('%s', (text, wording) => {
    expect(states(text, [wording])).toBe(true);
  });

  it.each([
    ['Your number is 148213.', '48213'],
    ['Your number is 4821.', '48213'],
    ['14 May', '14 March'],
    ['March 1', 'March 14'],
    ['Bluebell', 'blue'],
    ['', 'blue'],
  ])('not %s for %s', (text, wording) => {
    expect(states(text, [wording])).toBe(false);
  });

  it('is one of its wordings', () => {
    expect(states('March 14', ['14 March', 'March 14'])).toBe(true);
    expect(states('anything', [])).toBe(false);
  });

  it('compares whole words', () => {
    expect(normalised('The  “B-217”, of 1,000')).toBe(' b217 1000 ');
  });
});
