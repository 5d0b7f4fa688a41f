import { describe, expect, it } from 'vitest';
import { coordinateSearch, type Step } from '../../../../../measure/optimize/triton/search.js';

type Point = readonly [x: number, y: number];
const along =
  (axis: 0 | 1, most: number): Step<Point> =>
  ([x, y], direction) => {
    const moved: Point = axis === 0 ? [x + direction, y] : [x, y + direction];
    return moved[axis] < 0 || moved[axis] > most ? undefined : moved;
  };

/** Climbs a hill, and records where it has been. */
async function climbed(height: (point: Point) => number | undefined, start: Point, most = Number.POSITIVE_INFINITY) {
  const tried = new Map<string, number | undefined>([[start.join(), height(start)]]);
  const { at } = await coordinateSearch<Point, number>(height(start) ?? 0, {
    ...{ start, steps: [along(0, 9), along(1, 9)] },
    tryOut: async (point) => {
      if (!tried.has(point.join())) tried.set(point.join(), height(point));
      return tried.get(point.join());
    },
    better: (one, other) => one > other * 1.05,
    spent: () => tried.size >= most,
  });
  return { at, tried: tried.size };
}

const hill = ([x, y]: Point): number => 100 - (x - 6) ** 2 - (y - 2) ** 2;

describe('the coordinate search', () => {
  it('finds the top of a hill in either direction, with few candidates', async () => {
    const steep = (point: Point) => 2 ** (hill(point) / 4);
    expect(await climbed(steep, [2, 7])).toEqual({ at: [6, 2], tried: expect.any(Number) });
    expect((await climbed(steep, [2, 7])).tried).toBeLessThan(20);
    expect((await climbed(steep, [9, 0])).at).toEqual([6, 2]);
  });

  it('stays where nothing is clearly better', async () => {
    expect((await climbed(([x]) => 100 + x, [3, 3])).at).toEqual([3, 3]);
  });

  it('turns away from candidates that do not work', async () => {
    const blocked = ([x, y]: Point) => (x > 4 ? undefined : 2 ** (x + (y === 0 ? 0 : -9)));
    expect((await climbed(blocked, [1, 0])).at).toEqual([4, 0]);
  });

  it('ends with the best so far when the budget is spent', async () => {
    const { at, tried } = await climbed((point) => 2 ** (hill(point) / 4), [0, 2], 4);
    expect(tried).toBe(4);
    expect(at).toEqual([3, 2]);
  });
});
