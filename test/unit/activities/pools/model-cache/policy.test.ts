import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clockAfter,
  greedyDual,
  leastRecent,
  type ModelUse,
  victimsFor,
} from '../../../../../activities/pools/model-cache/policy.js';

const MEBIBYTE = 2 ** 20;
const use = (name: string, more: Partial<ModelUse> = {}): ModelUse => ({
  ...{ name, bytes: MEBIBYTE, uses: 1, at: 0, clock: 0, loadMs: 100 },
  ...more,
});
const names = (uses: readonly ModelUse[] | undefined) => uses?.map(({ name }) => name);

describe('what keeping a model is worth', () => {
  it('grows with its uses and the time that it takes to load, and falls with its size', () => {
    const worth = greedyDual(use('a'));
    expect(greedyDual(use('a', { uses: 2 }))).toBe(2 * worth);
    expect(greedyDual(use('a', { loadMs: 300 }))).toBe(3 * worth);
    expect(greedyDual(use('a', { bytes: 4 * MEBIBYTE }))).toBe(worth / 4);
  });

  it('is that of a large model like that of a small one, until loading has been measured', () => {
    const unmeasured = { loadMs: undefined };
    expect(greedyDual(use('a', unmeasured))).toBe(greedyDual(use('a', { ...unmeasured, bytes: 64 * MEBIBYTE })));
  });

  it('falls behind where a model is not used any more: the clock of evictions passes it', () => {
    const popular = use('popular', { uses: 5 });
    let clock = 0;
    const rounds = [];
    for (let i = 0; i < 10; i++) {
      const [victim] = victimsFor(1, [popular, use(`once-${i}`, { clock })], greedyDual) ?? [];
      if (!victim) throw new Error('no victim');
      rounds.push(victim.name);
      if (victim === popular) break;
      clock = clockAfter(clock, [victim], greedyDual);
    }
    expect(rounds.at(-1)).toBe('popular');
    expect(rounds).toHaveLength(6);
  });

  it('is its last use alone for the naive policy', () => {
    const [old, recent] = [use('old', { at: 1, uses: 100, loadMs: 9_000 }), use('recent', { at: 2 })];
    expect(names(victimsFor(1, [recent, old], leastRecent))).toEqual(['old']);
    expect(names(victimsFor(1, [recent, old], greedyDual))).toEqual(['recent']);
  });
});

describe('the models that are evicted', () => {
  it('are none if there is room, and undefined if all of them are not enough', () => {
    expect(victimsFor(0, [use('a')], greedyDual)).toEqual([]);
    expect(victimsFor(-5, [], greedyDual)).toEqual([]);
    expect(victimsFor(2 * MEBIBYTE + 1, [use('a'), use('b')], greedyDual)).toBeUndefined();
  });

  it('are none whose memory another one makes unnecessary', () => {
    const idle = [use('small', { uses: 1 }), use('large', { uses: 16, bytes: 8 * MEBIBYTE })];
    expect(names(victimsFor(8 * MEBIBYTE, idle, greedyDual))).toEqual(['large']);
    expect(names(victimsFor(9 * MEBIBYTE, idle, greedyDual))).toEqual(['small', 'large']);
  });

  const uses = fc.uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 4 }),
      bytes: fc.integer({ min: 1, max: 1_000 }),
      uses: fc.float({ min: 0, max: 100, noNaN: true }),
      at: fc.nat(1_000),
      clock: fc.nat(1_000),
      loadMs: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
    }),
    { selector: ({ name }) => name, maxLength: 12 },
  );

  it.each([
    ['greedyDual', greedyDual],
    ['leastRecent', leastRecent],
  ] as const)('by %s free enough, and none of them can be spared', (_, worth) => {
    fc.assert(
      fc.property(uses, fc.integer({ min: -100, max: 6_000 }), (idle, needed) => {
        const total = idle.reduce((sum, { bytes }) => sum + bytes, 0);
        const victims = victimsFor(needed, idle, worth);
        expect(victims === undefined).toBe(total < needed);
        if (!victims) return;
        const freed = victims.reduce((sum, { bytes }) => sum + bytes, 0);
        expect(freed).toBeGreaterThanOrEqual(Math.max(0, needed));
        for (const { bytes } of victims) expect(freed - bytes).toBeLessThan(needed);
        // Which ones does not depend on the order in which they are listed.
        expect(new Set(names(victimsFor(needed, idle.toReversed(), worth)))).toEqual(new Set(names(victims)));
      }),
    );
  });

  it('are those of the least worth, where all are of one size', () => {
    fc.assert(
      fc.property(uses, fc.nat(12), (some, count) => {
        const idle = some.map((each) => ({ ...each, bytes: 10 }));
        const victims = victimsFor(10 * count, idle, greedyDual);
        if (!victims) return;
        expect(victims).toHaveLength(count);
        const kept = idle.filter((each) => !victims.includes(each));
        const most = Math.max(...victims.map(greedyDual));
        for (const each of kept) expect(greedyDual(each)).toBeGreaterThanOrEqual(most);
      }),
    );
  });
});
