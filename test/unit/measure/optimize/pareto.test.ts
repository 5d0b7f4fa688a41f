import { describe, expect, it } from 'vitest';
import { paretoFront } from '../../../../measure/optimize/pareto.js';
import { paretoPicture } from '../../../../measure/optimize/picture.js';

const point = (variant: string, p50Ms: number, memoryMiB: number, quality: number) => ({
  variant,
  p50Ms,
  memoryMiB,
  quality,
});
const ALL = [
  point('slow and exact', 20, 200, 1),
  point('fast', 5, 100, 0.9),
  point('fast & <worse>', 6, 100, 0.9),
  point('small', 30, 50, 0.8),
];

describe('the Pareto front', () => {
  it('has what nothing beats in time, memory and quality at once, the fastest first', () => {
    expect(paretoFront(ALL).map(({ variant }) => variant)).toEqual(['fast', 'slow and exact', 'small']);
  });

  it('keeps equal ones, and the only one', () => {
    expect(paretoFront([point('a', 1, 1, 1), point('b', 1, 1, 1)])).toHaveLength(2);
    expect(paretoFront([point('a', 1, 1, 0)])).toHaveLength(1);
  });
});

describe('its picture', () => {
  const svg = paretoPicture('m & n', ALL);

  it('shows every variant, the front filled and joined', () => {
    expect(svg.match(/<circle /g)).toHaveLength(ALL.length);
    expect(svg.match(/fill-opacity/g)).toHaveLength(3);
    expect(/<polyline points="([^"]*)"/.exec(svg)?.[1]?.split(' ')).toHaveLength(3);
    expect(svg).toContain('m &#38; n');
    expect(svg).toContain('fast &#38; &#60;worse&#62;');
  });

  it('is well-formed, without a number that is none, for one point too', () => {
    for (const text of [svg, paretoPicture('one', [point('a', 3, 0, 1)])]) {
      expect(text).not.toContain('NaN');
      expect(text.match(/<text /g)?.length).toBe(text.match(/<\/text>/g)?.length);
      expect(text.trimEnd().endsWith('</svg>')).toBe(true);
    }
  });

  it('puts better quality higher and more time to the right', () => {
    const at = (name: string) => {
      const [, x, y] = new RegExp(`<circle cx="(\\d+)" cy="(\\d+)"[^>]*>\\n<text[^>]*>${name}<`).exec(svg) ?? [];
      return { x: Number(x), y: Number(y) };
    };
    expect(at('slow and exact').y).toBeLessThan(at('fast').y);
    expect(at('slow and exact').x).toBeGreaterThan(at('fast').x);
  });
});
