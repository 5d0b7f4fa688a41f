import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../../../bench/random.js';
import {
  drifted,
  LIMIT,
  labelsToOpen,
  lowerBound,
  STEPS,
  stepOf,
  upperBound,
  verdictOf,
} from '../../../../stores/evidence/index.js';

/** The exact chance that the upper bound is `rate` or less after any of `most` labels, of which a share of `rate` is wrong. */
function chanceOfOpening(rate: number, most: number): number {
  const needed = Array.from({ length: 60 }, (_, wrong) => labelsToOpen(rate, wrong));
  /** Chances of so many wrong labels, without having opened. */
  let closed = [1];
  let opened = 0;
  for (let labels = 1; labels <= most; labels += 1) {
    const next = closed.map((_, wrong) => (closed[wrong] ?? 0) * (1 - rate) + (closed[wrong - 1] ?? 0) * rate);
    next.push((closed.at(-1) ?? 0) * rate);
    closed = next.map((chance, wrong) => {
      if (labels < (needed[wrong] ?? Number.POSITIVE_INFINITY)) return chance;
      opened += chance;
      return 0;
    });
  }
  return opened;
}

describe('bounds', () => {
  it('open after as many right labels as the documents say, and later after a wrong one', () => {
    expect([0.1, 0.05, 0.02].map((rate) => labelsToOpen(rate))).toEqual([24, 50, 125]);
    expect([0.1, 0.05, 0.02].map((rate) => labelsToOpen(rate, 1))).toEqual([58, 118, 298]);
  });

  it('are ever below the rate with a chance of at most 10 %, and of little less: no other bound could open much earlier', () => {
    for (const [rate, most] of [
      [0.1, 400],
      [0.05, 700],
    ] as const) {
      const chance = chanceOfOpening(rate, most);
      expect(chance).toBeLessThanOrEqual(0.1);
      expect(chance).toBeGreaterThan(0.09);
    }
  });

  it('hold the rate between them, whenever they are looked at', () => {
    for (const rate of [0.02, 0.1, 0.3]) {
      let [above, below] = [0, 0];
      for (let seed = 0; seed < 200; seed += 1) {
        const random = mulberry32(seed);
        let wrong = 0;
        let [everAbove, everBelow] = [false, false];
        for (let labels = 1; labels <= 400; labels += 1) {
          wrong += random() < rate ? 1 : 0;
          if (labels % 10 > 0) continue;
          everBelow ||= upperBound({ labels, wrong }) < rate;
          everAbove ||= lowerBound({ labels, wrong }) > rate;
        }
        above += everAbove ? 1 : 0;
        below += everBelow ? 1 : 0;
      }
      expect(below / 200).toBeLessThanOrEqual(0.1);
      expect(above / 200).toBeLessThanOrEqual(0.1);
    }
  });

  it('say nothing without labels', () => {
    expect(upperBound({ labels: 0, wrong: 0 })).toBe(1);
    expect(lowerBound({ labels: 0, wrong: 0 })).toBe(0);
  });
});

describe('the threshold', () => {
  const none = STEPS.map(() => ({ labels: 0, wrong: 0 }));
  const withLabels = (at: Record<number, [labels: number, wrong: number]>) =>
    none.map((step, i) => (at[i] ? { labels: at[i][0], wrong: at[i][1] } : step));

  it('is closed without labels, and opens no further than they speak for', () => {
    expect(verdictOf(none, 0.05).open).toBe(0);
    expect(verdictOf(withLabels({ 3: [49, 0] }), 0.05).open).toBe(0);
    expect(verdictOf(withLabels({ 3: [50, 0] }), 0.05)).toMatchObject({ open: 3, counts: { labels: 50, wrong: 0 } });
    expect(verdictOf(withLabels({ 0: [30, 0], 3: [30, 0], 5: [30, 10] }), 0.05).open).toBe(3);
  });

  it('closes again when wrong labels come', () => {
    expect(verdictOf(withLabels({ 3: [60, 2] }), 0.05).open).toBe(0);
  });

  it('has a step for each score from 0.5 on', () => {
    expect([1, 0.988, 0.98, 0.5, 0.49].map(stepOf)).toEqual([1, 1, 4, STEPS.length - 1, undefined]);
  });
});

/** Traffic in which the verifier's score `s` is right with a probability of `curve(s)`. */
function simulate(seed: number, delta: number, curve: (score: number) => number, lookups = 2_000) {
  const random = mulberry32(seed);
  const steps = STEPS.map(() => ({ labels: 0, wrong: 0 }));
  let { open } = verdictOf(steps, delta);
  let [drift, hits, wrong, closed] = [0, 0, 0, 0];
  for (let i = 0; i < lookups; i += 1) {
    const guard = random() < 0.2;
    const score = guard ? 1 : Math.sqrt(random());
    const step = guard ? 0 : stepOf(score);
    if (step === undefined) continue;
    const bad = random() >= (guard ? 0.998 : curve(score));
    const served = step <= open;
    if (served && random() >= 0.05) {
      hits += 1;
      wrong += bad ? 1 : 0;
      continue;
    }
    if (served && open > 0) drift = drifted(drift, bad, delta);
    if (drift >= LIMIT) {
      for (const each of steps) [each.labels, each.wrong] = [0, 0];
      drift = 0;
      closed += 1;
    }
    const own = steps[step] as { labels: number; wrong: number };
    own.labels += 1;
    own.wrong += bad ? 1 : 0;
    if (i % 20 === 0) open = verdictOf(steps, delta).open;
  }
  return { hits, wrong, open, closed };
}

describe('a stage that is certified while it serves', () => {
  const CURVES: Record<string, (score: number) => number> = {
    'calibrated scores': (score) => score,
    'steep scores': (score) => score ** 3,
    'useless scores of good hits': () => 0.96,
    'useless scores of bad hits': () => 0.9,
  };
  it.each(Object.entries(CURVES))('%s: realises more errors than promised in at most 10 % of 200 seeds', (_, curve) => {
    for (const delta of [0.05]) {
      const runs = Array.from({ length: 200 }, (_, seed) => simulate(seed, delta, curve));
      const broken = runs.filter(({ hits, wrong }) => wrong > delta * hits).length;
      expect(broken / 200).toBeLessThanOrEqual(0.1);
    }
  });

  it('opens for good scores', () => {
    const runs = Array.from({ length: 20 }, (_, seed) => simulate(seed, 0.1, (score) => score));
    expect(runs.filter(({ open }) => open > 0).length).toBeGreaterThanOrEqual(15);
  });

  it('alarms when errors become frequent, and seldom before', () => {
    let [sum, labels] = [0, 0];
    while (sum < LIMIT && labels < 10_000) {
      labels += 1;
      sum = drifted(sum, labels % 4 === 0, 0.05);
    }
    expect(labels).toBeLessThan(60);
    const random = mulberry32(5);
    let alarms = 0;
    sum = 0;
    for (let i = 0; i < 5_000; i += 1) {
      sum = drifted(sum, random() < 0.03, 0.05);
      if (sum >= LIMIT) [alarms, sum] = [alarms + 1, 0];
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });
});
