import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keepLease, type Standing } from '../../../stores/journal/index.js';

const LEASE_MS = 3_000;

describe('a lease on a journal', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const keep = (renew: () => Promise<Standing>) => {
    const lost: [why: string, atMs: number][] = [];
    const began = performance.now();
    const lease = keepLease({ renew }, LEASE_MS, (why) => lost.push([why, performance.now() - began]));
    return { lost, lease };
  };

  it('is renewed several times before it could run out', async () => {
    const renew = vi.fn(async () => 'held' as const);
    const { lost, lease } = keep(renew);
    await vi.advanceTimersByTimeAsync(10 * LEASE_MS);
    expect(renew.mock.calls.length).toBeGreaterThanOrEqual(30);
    lease.stop();
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(renew.mock.calls.length).toBeLessThanOrEqual(41);
    expect(lost).toEqual([]);
  });

  it.each(['taken', 'revoked', 'gone'] as const)('is lost at once when the record is %s', async (standing) => {
    const { lost } = keep(async () => standing);
    await vi.advanceTimersByTimeAsync(10 * LEASE_MS);
    expect(lost).toHaveLength(1);
    expect(lost[0]?.[0]).toBe(standing);
    expect(lost[0]?.[1]).toBeLessThan(LEASE_MS / 2);
  });

  it.each([
    ['refuses', () => Promise.reject(new Error('no connection'))],
    ['is silent', () => new Promise<Standing>(() => undefined)],
  ])('is lost while there is time to end the calls when Redis %s', async (_, renew) => {
    let away = false;
    const { lost } = keep(() => (away ? renew() : Promise.resolve('held')));
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    away = true;
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    expect(lost).toHaveLength(1);
    const [why, atMs] = lost[0] ?? ['', 0];
    expect(why).toBe('unreachable');
    // The last renewal was at two leases.
    expect(atMs - 2 * LEASE_MS).toBeLessThanOrEqual(LEASE_MS - 500);
  });

  it('survives an answer that fails now and then', async () => {
    let turn = 0;
    const { lost, lease } = keep(() => (turn++ % 2 ? Promise.reject(new Error('late')) : Promise.resolve('held')));
    await vi.advanceTimersByTimeAsync(10 * LEASE_MS);
    lease.stop();
    expect(lost).toEqual([]);
  });
});
