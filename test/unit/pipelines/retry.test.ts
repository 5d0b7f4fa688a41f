import { describe, expect, it } from 'vitest';
import { isErrorCode } from '../../../pipelines/errors.js';
import { mayRetry, nextAttempt, nextDelayMs, UNTRIED } from '../../../pipelines/retry.js';

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
    expect(mayRetry(on ? { on } : {}, { code, details: {} })).toBe(expected);
    const ofRunBefore = { code, details: { final: true } } as const;
    expect(mayRetry(on ? { on } : {}, ofRunBefore), 'what the run before has come to').toBe(false);
  });
});

describe('what follows a failed attempt', () => {
  const retry = { attempts: 2, initialMs: 200, factor: 2, maxMs: 5_000 };

  it('that the state store did not take is a wait; one at which it broke uses an attempt', () => {
    const gone = { code: 'STORE_UNAVAILABLE', details: { unreached: true } } as const;
    expect(nextAttempt(retry, undefined, gone, 2, UNTRIED, 0.5)).toMatchObject({ delayMs: 100, tried: { waits: 1 } });
    expect(nextAttempt(retry, 0, gone, 1, UNTRIED, 0.5).delayMs, 'there is an alternative').toBeUndefined();
    const broken = { code: 'STORE_UNAVAILABLE', details: {} } as const;
    expect(nextAttempt(retry, undefined, broken, 1, UNTRIED, 0.5)).toMatchObject({ delayMs: 200, tried: { waits: 0 } });
    expect(nextAttempt(retry, undefined, broken, 2, UNTRIED, 0.5).delayMs).toBeUndefined();
  });

  const away = { code: 'BACKEND_UNAVAILABLE', details: { unsent: true } } as const;
  const lost = { code: 'BACKEND_UNAVAILABLE', details: { endpoint: 'a' } } as const;

  it('of a stage whose server is away: a wait, however often, that grows to about a second', () => {
    let tried = UNTRIED;
    const delays: number[] = [];
    for (let i = 0; i < 1_000; i++) {
      const next = nextAttempt(retry, undefined, away, 0, tried, 0.5);
      delays.push(next.delayMs ?? 0);
      tried = next.tried;
    }
    expect(delays.slice(0, 6)).toEqual([100, 100, 200, 400, 800, 1_000]);
    expect(Math.max(...delays)).toBe(1_000);
    expect(tried.waits).toBe(1_000);
  });

  it('of a call that was made: another one, up to the policy’s number, and not where the last one failed', () => {
    expect(nextAttempt(retry, undefined, lost, 1, UNTRIED, 0.5)).toEqual({
      delayMs: 200,
      tried: { waits: 0, waitedMs: 0, avoid: 'a' },
    });
    expect(nextAttempt(retry, undefined, lost, 2, UNTRIED, 0.5).delayMs).toBeUndefined();
  });

  it('of a stage with an alternative: waits for its patience and no longer, none of it for 0', () => {
    expect(nextAttempt(retry, 0, away, 0, UNTRIED, 0.5).delayMs).toBeUndefined();
    let { delayMs, tried } = nextAttempt(retry, 250, away, 0, UNTRIED, 0.5);
    let waited = 0;
    for (; delayMs !== undefined; { delayMs, tried } = nextAttempt(retry, 250, away, 0, tried, 0.5)) waited += delayMs;
    expect(waited).toBe(250);
  });

  it('of a model that is being loaded: the next attempt knows what it waits for', () => {
    const loading = { code: 'BACKEND_UNAVAILABLE', details: { unsent: true, loading: true } } as const;
    const { tried } = nextAttempt(retry, undefined, loading, 0, UNTRIED, 0.5);
    expect(tried).toEqual({ waits: 1, waitedMs: 100, loading: true });
    expect(nextAttempt(retry, undefined, away, 0, tried, 0.5).tried).toEqual({ waits: 2, waitedMs: 200 });
  });

  it('of a call that was refused for its credentials: another one where another endpoint may take it', () => {
    const refused = { code: 'BACKEND_UNAUTHORIZED', details: { endpoint: 'a' } } as const;
    expect(nextAttempt(retry, undefined, refused, 1, UNTRIED, 0.5).delayMs).toBeUndefined();
    const elsewhere = { ...refused, details: { ...refused.details, elsewhere: true } } as const;
    expect(nextAttempt(retry, undefined, elsewhere, 1, UNTRIED, 0.5).delayMs).toBe(200);
  });
});

it('a code is one of the table’s own: not what every object has', () => {
  expect(isErrorCode('RATE_LIMITED')).toBe(true);
  for (const code of ['toString', 'constructor', '__proto__', 'hasOwnProperty']) expect(isErrorCode(code)).toBe(false);
});
