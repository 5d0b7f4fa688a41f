import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { measureLoad } from '../../../../../measure/optimize/triton/load.js';

const options = { concurrency: 4, windowMs: 100, signal: new AbortController().signal };

describe('a load', () => {
  it('keeps that many calls in flight, and counts those that end', async () => {
    let [now, most] = [0, 0];
    const serials = new Set<number>();
    const began = performance.now();
    const load = await measureLoad(async (serial) => {
      now += 1;
      most = Math.max(most, now);
      serials.add(serial);
      await sleep(20);
      now -= 1;
    }, options);
    expect(most).toBe(4);
    expect(now).toBe(0);
    expect(serials.size).toBeGreaterThanOrEqual(load.calls);
    // Four at a time, each of 20 ms or a little more: timers are late on a busy machine, and never early.
    expect(load.p50Ms).toBeGreaterThanOrEqual(19);
    expect(load.callsPerS).toBeLessThanOrEqual(4 / 0.019);
    // What it counts ended in a part of the time that all took.
    expect(load.callsPerS).toBeGreaterThanOrEqual(load.calls / ((performance.now() - began) / 1_000) - 0.1);
    expect(load.p95Ms).toBeGreaterThanOrEqual(load.p50Ms);
  });

  it('goes on until enough calls have ended, but not for ever', async () => {
    const load = await measureLoad(() => sleep(60), { ...options, windowMs: 50, concurrency: 1 });
    expect(load.calls).toBeGreaterThanOrEqual(20);
  });

  it('fails with the first call that does, and ends the others', async () => {
    let aborted = 0;
    const load = measureLoad(async (serial, signal) => {
      if (serial === 2) throw new Error('no');
      await sleep(60_000, undefined, { signal }).catch((error: unknown) => {
        aborted += 1;
        throw error;
      });
    }, options);
    await expect(load).rejects.toThrow('no');
    expect(aborted).toBe(3);
  });

  it('ends when it is interrupted', async () => {
    const stop = new AbortController();
    const load = measureLoad((_, signal) => sleep(10, undefined, { signal }), { ...options, signal: stop.signal });
    setTimeout(() => stop.abort(new Error('stopped')), 150);
    await expect(load).rejects.toThrow('stopped');
  });
});
