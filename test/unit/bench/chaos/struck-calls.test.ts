import { describe, expect, it } from 'vitest';
import { Seeded } from '../../../../bench/chaos/seeded.js';
import { StruckCalls } from '../../../../bench/chaos/struck-calls.js';

const faults = (rate: number, seed: number) => new StruckCalls(rate, new Seeded(seed, 'test'));

describe('faults by a seed', () => {
  it.each([1, 4])('strike 5 %% of the calls when each takes %i along', (open) => {
    const all = faults(0.05, 7);
    for (let i = 0; i < 20_000; i++) if (all.next(open)) all.strike(open);
    expect(all.struck / all.seen).toBeGreaterThan(0.049);
    expect(all.struck / all.seen).toBeLessThan(0.051);
  });

  it('are the same for the same seed and others for another', () => {
    const drawn = (seed: number) => {
      const all = faults(0.2, seed);
      return Array.from({ length: 200 }, () => {
        const fault = all.next(1);
        if (fault) all.strike(1);
        return fault;
      });
    };
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
    expect(new Set(drawn(1).map((fault) => fault?.kind))).toEqual(new Set([undefined, 'refuse', 'cut', 'stall']));
  });

  it('do not come where there are none to be', () => {
    const none = faults(0, 1);
    expect(Array.from({ length: 1_000 }, () => none.next(1)).filter(Boolean)).toEqual([]);
  });
});
