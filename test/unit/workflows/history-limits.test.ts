import { expect, it } from 'vitest';
import { isEnough } from '../../../workflows/history-limits.js';
import { inHistory } from '../../support/in-history.js';

const info = { historyLength: 3, historySize: 0, continueAsNewSuggested: false };
const has = inHistory({ info });
const grown = (given: Partial<Parameters<typeof isEnough>[0]>) =>
  isEnough({ calls: 0, locals: 0, waits: 0, ended: 0, commandBytes: 0, ...given });

/** A history as Temporal tells it. */
function told(historyLength: number, historySize = 0): void {
  Object.assign(info, { historyLength, historySize, continueAsNewSuggested: historyLength > 4_096 });
}

it('a history ends after what it has begun, at whatever length a replay sees it', () => {
  for (const length of [1_990, 4_200]) {
    told(length);
    expect([grown({ calls: 300 }), grown({ calls: 667 })]).toEqual([false, true]);
    expect([grown({ locals: 900 }), grown({ locals: 1_000 })]).toEqual([false, true]);
    // A thousand open approvals leave room for decisions.
    expect([grown({ waits: 1_000, ended: 10 }), grown({ waits: 1_000, ended: 400 })]).toEqual([false, true]);
    expect(grown({ calls: 100, commandBytes: 3_000_000 })).toBe(true);
  }
});

it('ends in any case where little is begun and much is told', () => {
  told(20_001);
  expect(grown({ calls: 100 })).toBe(true);
  told(3_000, 21 * 1024 * 1024);
  expect(grown({ calls: 100 })).toBe(true);
});

it('of a short run, and of a history from before, Temporal decides', () => {
  has(() => {
    throw new Error('a marker');
  });
  told(4_200);
  expect(grown({ calls: 19 })).toBe(true);
  told(100);
  expect(grown({ calls: 19 })).toBe(false);
  has(false);
  expect(grown({ calls: 2_000 })).toBe(false);
  told(4_200);
  expect(grown({ calls: 50 })).toBe(true);
});
