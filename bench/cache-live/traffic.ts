import type { Pair } from '../cache/pairs.js';
import { mulberry32, shuffled } from '../random.js';

export const CALLERS = ['alice', 'bob', 'mallory'] as const;
export type Caller = (typeof CALLERS)[number];

/** Alice and Bob are callers of one tenant, Mallory one of another. */
const SHARES: readonly (readonly [Caller, number])[] = [
  ['alice', 0.45],
  ['bob', 0.35],
  ['mallory', 0.2],
];

export interface Asked {
  readonly caller: Caller;
  readonly text: string;
}

/**
 * Texts by their answer: those of pairs that are the same share one. Throws where a pair that is not the same would have
 * one answer: the set contradicts itself.
 */
export function answersOf(pairs: readonly Pair[]): Map<string, number> {
  const parent = new Map<string, string>();
  const rootOf = (text: string): string => {
    const up = parent.get(text) ?? text;
    return up === text ? text : rootOf(up);
  };
  for (const { a, b, same } of pairs) {
    for (const text of [a, b]) if (!parent.has(text)) parent.set(text, text);
    if (same) parent.set(rootOf(a), rootOf(b));
  }
  const numbers = new Map<string, number>();
  const numberOf = (text: string) => {
    const root = rootOf(text);
    if (!numbers.has(root)) numbers.set(root, numbers.size);
    return numbers.get(root) as number;
  };
  for (const { a, b, same } of pairs)
    if (!same && numberOf(a) === numberOf(b))
      throw new Error(`the set says that these differ and are the same: ${a} / ${b}`);
  return new Map([...parent.keys()].map((text) => [text, numberOf(text)]));
}

/**
 * Requests in an order that the seed decides: a few subjects are asked often and most seldom (Zipf, exponent 1), one text
 * of a pair or the other at a time.
 */
export function trafficOf(pairs: readonly Pair[], requests: number, seed: number): Asked[] {
  const random = mulberry32(seed);
  const ranked = shuffled(pairs, random);
  const sums: number[] = [];
  for (const i of ranked.keys()) sums.push((sums.at(-1) ?? 0) + 1 / (i + 1));
  const total = sums.at(-1) as number;
  const callerAt = (share: number): Caller => {
    let left = share;
    for (const [caller, own] of SHARES) {
      left -= own;
      if (left < 0) return caller;
    }
    return 'mallory';
  };
  return Array.from({ length: requests }, () => {
    const at = random() * total;
    const { a, b } = ranked[sums.findIndex((sum) => sum > at)] ?? (ranked[0] as Pair);
    const text = random() < 0.5 ? a : b;
    return { caller: callerAt(random()), text };
  });
}
