import { describe, expect, it } from 'vitest';
import { mayRetry, nextDelayMs } from '../../../pipelines/retry.js';

const policy = { initialMs: 200, factor: 2.5, maxMs: 5_000 };

describe('the wait before the next attempt', () => {
  it('grows by the factor up to the maximum', () => {
    expect([1, 2, 3, 4, 5, 6].map((attempt) => nextDelayMs(policy, attempt, undefined, 0.9))).toEqual([
      200, 500, 1_250, 3_125, 5_000, 5_000,
    ]);
    expect(nextDelayMs(policy, 5_000, undefined, 0)).toBe(5_000); // the power is Infinity
  });

  it('is spread by its jitter on both sides', () => {
    const jittery = { ...policy, jitter: 0.2 };
    expect([0, 0.5, 0.999_999].map((random) => nextDelayMs(jittery, 1, undefined, random))).toEqual([160, 200, 240]);
    expect(nextDelayMs({ ...jittery, jitter: 1 }, 1, undefined, 0)).toBe(1);
  });

  it('is what the server asks for, whatever the backoff, and never less', () => {
    expect(nextDelayMs(policy, 1, 7_000, 0)).toBe(7_000);
    expect(nextDelayMs(policy, 6, 10, 0.9)).toBe(10);
    const jittery = { ...policy, jitter: 0.5 };
    expect([0, 0.5, 0.999_999].map((random) => nextDelayMs(jittery, 1, 1_000, random))).toEqual([1_000, 1_250, 1_500]);
  });

  it('is the backoff when the server asks for nothing', () => {
    expect(nextDelayMs(policy, 1, 0, 0)).toBe(200);
  });
});

describe('whether an attempt follows', () => {
  it.each([
    ['BACKEND_OVERLOADED', undefined, true],
    ['BACKEND_BROKEN', undefined, true],
    ['BACKEND_REJECTED', undefined, false],
    ['BACKEND_OVERLOADED', ['BACKEND_OVERLOADED', 'RATE_LIMITED'], true],
    ['BACKEND_UNAVAILABLE', ['BACKEND_OVERLOADED', 'RATE_LIMITED'], false],
    ['BACKEND_UNAVAILABLE', [], false],
    // What would fail again fails again whoever asks for it.
    ['BACKEND_REJECTED', ['BACKEND_REJECTED'], false],
  ] as const)('after %s with on: %j is %s', (code, on, expected) => {
    expect(mayRetry(on ? { on } : {}, code)).toBe(expected);
  });
});
