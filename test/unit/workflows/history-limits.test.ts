import { expect, it } from 'vitest';
import { isEnough } from '../../../workflows/history-limits.js';
import { inHistory } from '../../support/in-history.js';

const info = { historyLength: 3, historySize: 0, continueAsNewSuggested: false };
const has = inHistory({ info });
const grown = (given: Partial<Parameters<typeof isEnough>[0]>) =>
  isEnough({ hasLocals: true, calls: 0, locals: 0, waits: 0, bytes: 0, ...given });

/** A history as Temporal tells it. */
function told(historyLength: number, historySize = 0): void {
  Object.assign(info, { historyLength, historySize, continueAsNewSuggested: historyLength > 4_096 });
}

it('a history with local activities ends after what it has begun, at whatever length a replay sees it', () => {
  for (const length of [1_990, 4_200]) {
    told(length);
    expect([grown({ calls: 600 }), grown({ calls: 667 })]).toEqual([false, true]);
    expect([grown({ locals: 900 }), grown({ locals: 1_000 })]).toEqual([false, true]);
    expect([grown({ waits: 500 }), grown({ waits: 600 })]).toEqual([false, true]);
    expect(grown({ bytes: 5_000_000 })).toBe(true);
  }
});

it('ends in any case where little is begun and much is told', () => {
  told(20_001);
  expect(grown({ calls: 100 })).toBe(true);
  told(3_000, 21 * 1024 * 1024);
  expect(grown({ calls: 100 })).toBe(true);
});

it('without local activities, and in a history from before, Temporal decides', () => {
  for (const [patched, hasLocals] of [
    [true, false],
    [false, true],
  ] as const) {
    has(patched);
    told(100);
    expect(grown({ hasLocals, calls: 2_000 })).toBe(false);
    told(4_200);
    expect(grown({ hasLocals, calls: 50 })).toBe(true);
  }
});
