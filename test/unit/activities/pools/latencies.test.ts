import { describe, expect, it } from 'vitest';
import { HedgeBudget } from '../../../../activities/pools/hedge-budget.js';
import { Latencies } from '../../../../activities/pools/latencies.js';

const recent = (samples: readonly number[]) => {
  const latencies = new Latencies();
  for (const ms of samples) latencies.add(ms);
  return latencies;
};
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('recent latencies', () => {
  it('have a percentile', () => {
    expect(recent(upTo(100)).percentile(50)).toBe(51);
    expect(recent(upTo(100)).percentile(95)).toBe(96);
    expect(recent(upTo(100).reverse()).percentile(90)).toBe(91);
  });

  it('have none of fewer than 32 calls, nor one with fewer than two calls beyond it', () => {
    expect(recent(upTo(31)).percentile(50)).toBeUndefined();
    expect(recent(upTo(32)).percentile(50)).toBe(17);
    expect(recent(upTo(39)).percentile(95)).toBeUndefined();
    expect(recent(upTo(40)).percentile(95)).toBe(39);
    expect(recent(upTo(199)).percentile(99)).toBeUndefined();
    expect(recent(upTo(200)).percentile(99)).toBe(199);
  });

  it('are those of the last 2000 calls', () => {
    expect(recent([...Array(2_000).fill(1_000), ...Array(1_999).fill(10)]).percentile(99.9)).toBe(10);
    expect(recent([...Array(2_000).fill(1_000), ...Array(1_000).fill(10)]).percentile(60)).toBe(1_000);
    expect(recent(upTo(1_999)).percentile(99.9)).toBeUndefined();
  });

  it('follow the server within 16 calls', () => {
    const latencies = recent(Array(32).fill(10));
    expect(latencies.percentile(50)).toBe(10);
    for (let i = 0; i < 40; i++) latencies.add(500);
    expect(latencies.percentile(50)).toBe(500);
  });
});

describe('the budget of hedges', () => {
  const spent = (budget: HedgeBudget) => {
    let count = 0;
    while (budget.take()) count += 1;
    return count;
  };

  it('is ten at first, and then a tenth of the calls', () => {
    const budget = new HedgeBudget();
    let hedges = 0;
    for (let i = 0; i < 1_000; i++) {
      budget.called();
      if (budget.take()) hedges += 1;
    }
    // The first call finds the bucket full.
    expect(hedges).toBe(109);
  });

  it('does not grow without end', () => {
    const budget = new HedgeBudget();
    for (let i = 0; i < 10_000; i++) budget.called();
    expect(spent(budget)).toBe(10);
    expect(spent(budget)).toBe(0);
  });
});
