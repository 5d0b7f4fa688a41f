import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MillraceError } from '../../../../pipelines/errors.js';
import { fakePools, openCall, settle } from './fakes.js';

const signal = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a device', () => {
  it('has room for what its endpoints may have at once, and for one at one that is away', async () => {
    const { pools, pool } = fakePools(['a', 'b'], { concurrency: 3 });
    const device = pools.device('gpu-a');
    expect([device.room(), device.room('m'), device.room('other')]).toEqual([3, 3, 0]);
    expect(device.pools).toEqual(['m']);
    const failure = new MillraceError('BACKEND_UNAVAILABLE', 'gone');
    const call = pool.use(async () => Promise.reject(failure), { signal, devices: ['gpu-a'] });
    await expect(call).rejects.toMatchObject({ code: failure.code, details: { endpoint: 'a' } });
    // One that comes learns that it has to wait, or to go elsewhere.
    expect(device.room()).toBe(1);
    expect(pools.device('gpu-b').room()).toBe(3);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(device.room()).toBe(3);
  });

  it('has less room while calls wait in its servers’ own queues', async () => {
    const { pools, pool, backend } = fakePools(['a'], { concurrency: 10 });
    const work = { requests: 0, queueMs: 0, computeMs: 0 };
    Object.assign(backend('a'), { work: async () => ({ ...work }) });
    const device = pools.device('gpu-a');
    const ended = new AbortController();
    const watching = device.watch(ended.signal);
    await settle();
    const calls = openCall();
    const holding = Array.from({ length: 10 }, () => pool.use(calls.work, { signal }));
    Object.assign(work, { requests: 10, queueMs: 900, computeMs: 300 });
    await vi.advanceTimersByTimeAsync(500);
    await vi.waitFor(() => expect(device.room()).toBe(8), 15_000);
    calls.end();
    await Promise.all(holding);
    ended.abort();
    await watching;
  });

  it('keeps its room while calls wait only for batches to fill, as the server is configured', async () => {
    const { pools, pool, backend } = fakePools(['a'], { concurrency: 10 });
    const work = { requests: 0, queueMs: 0, computeMs: 0 };
    const batching = vi.fn(async () => ({ most: 8, preferred: [], delayMs: 80, instances: 1 }));
    const read = vi.fn(async () => ({ ...work }));
    Object.assign(backend('a'), { work: read, batching });
    const device = pools.device('gpu-a');
    const ended = new AbortController();
    const watching = device.watch(ended.signal);
    await settle();
    const calls = openCall();
    const holding = Array.from({ length: 10 }, () => pool.use(calls.work, { signal }));
    Object.assign(work, { requests: 10, queueMs: 900, computeMs: 300 });
    await vi.advanceTimersByTimeAsync(1_000);
    await vi.waitFor(() => expect(read.mock.calls.length).toBeGreaterThan(2), 15_000);
    expect(batching).toHaveBeenCalledTimes(1);
    expect(device.room()).toBe(10);
    // Behind by more than that.
    Object.assign(work, { requests: 20, queueMs: 3_000, computeMs: 600 });
    await vi.advanceTimersByTimeAsync(500);
    await vi.waitFor(() => expect(device.room()).toBe(8), 15_000);
    calls.end();
    await Promise.all(holding);
    ended.abort();
    await watching;
  });

  it('that no endpoint is on is a mistake of the settings', () => {
    const { pools } = fakePools(['a']);
    expect(() => pools.device('gpu-9')).toThrow(/no endpoint is on the device "gpu-9"/);
  });
});
