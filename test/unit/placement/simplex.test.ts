import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minimise } from '../../../placement/planner/simplex.js';

describe('the simplex method', () => {
  it('solves a program by hand', () => {
    // min 2x + 3y, x + y >= 4, x <= 3, y <= 5: x = 3, y = 1.
    const solved = minimise(
      [2, 3],
      [
        {
          terms: [
            [0, 1],
            [1, 1],
          ],
          is: 'atLeast',
          bound: 4,
        },
        { terms: [[0, 1]], is: 'atMost', bound: 3 },
        { terms: [[1, 1]], is: 'atMost', bound: 5 },
      ],
    );
    expect(solved?.value).toBeCloseTo(9);
    expect([...(solved?.x ?? [])].map((x) => Math.round(x * 1e6) / 1e6)).toEqual([3, 1]);
  });

  it('says when nothing satisfies the constraints', () => {
    const terms = [[0, 1]] as const;
    expect(
      minimise(
        [1],
        [
          { terms, is: 'atLeast', bound: 2 },
          { terms, is: 'atMost', bound: 1 },
        ],
      ),
    ).toBeUndefined();
  });

  it('lets no constraint go that phase one has met with nothing to spare', () => {
    const solved = minimise(
      [0, 1],
      [
        { terms: [[1, 4]], is: 'atMost', bound: 6 },
        { terms: [[1, 2]], is: 'atLeast', bound: 3 },
      ],
    );
    expect(solved?.x[1]).toBeCloseTo(1.5);
  });

  it('is no worse than any point of a grid that satisfies the constraints, and satisfies them itself', () => {
    const row = fc.record({
      a: fc.integer({ min: 0, max: 5 }),
      b: fc.integer({ min: 0, max: 5 }),
      is: fc.constantFrom('atMost' as const, 'atLeast' as const),
      bound: fc.integer({ min: 1, max: 12 }),
    });
    const costs = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(costs, fc.array(row, { minLength: 1, maxLength: 4 }), (prices, rows) => {
        const solved = minimise(
          prices,
          rows.map(({ a, b, is, bound }) => ({
            terms: [
              [0, a],
              [1, b],
            ] as const,
            is,
            bound,
          })),
        );
        const fits = (x: number, y: number) =>
          rows.every(({ a, b, is, bound }) =>
            is === 'atMost' ? a * x + b * y <= bound + 1e-7 : a * x + b * y >= bound - 1e-7,
          );
        if (solved) expect(fits(solved.x[0] ?? 0, solved.x[1] ?? 0)).toBe(true);
        for (let x = 0; x <= 12; x += 0.5) {
          for (let y = 0; y <= 12; y += 0.5) {
            if (fits(x, y))
              expect(solved?.value ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
                prices[0] * x + prices[1] * y + 1e-6,
              );
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
