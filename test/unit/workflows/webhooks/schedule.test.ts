import { describe, expect, it } from 'vitest';
import { Crowd } from '../../../../activities/webhooks/crowd.js';
import {
  crowdedMs,
  MOST_TOLD_BYTES,
  MOST_WAIT_ATTEMPTS,
  MOST_WAITS,
  MOST_WAITS_OF_CHILDREN,
  SCHEDULE_MS,
  waitMs,
} from '../../../../workflows/webhooks/schedule.js';

const HOUR = 3_600_000;

describe('the schedule of attempts', () => {
  it('begins at once and lasts for more than three days', () => {
    expect(SCHEDULE_MS[0]).toBe(0);
    expect([...SCHEDULE_MS].sort((a, b) => a - b)).toEqual(SCHEDULE_MS);
    expect(SCHEDULE_MS.reduce((sum, each) => sum + each)).toBeGreaterThan(72 * HOUR);
  });

  it('is spread, and a target may ask for more but not for ever', () => {
    expect(waitMs(0, undefined, 1)).toBe(0);
    expect(waitMs(5_000, undefined, 0)).toBe(5_000);
    expect(waitMs(5_000, undefined, 1)).toBe(5_500);
    expect(waitMs(5_000, 1_000, 0)).toBe(5_000);
    expect(waitMs(5_000, 60_000, 0)).toBe(60_000);
    expect(waitMs(5_000, 1_000 * HOUR, 0)).toBe(24 * HOUR);
  });

  it('waits longer and longer for room, up to a minute', () => {
    expect([0, 1, 2, 9].map((times) => crowdedMs(times, 1))).toEqual([1_000, 2_000, 4_000, 60_000]);
    expect(crowdedMs(0, 0)).toBe(500);
  });
});

it('a delivery that tells as many waits as it may fits into a history, with the end of its run to ten targets', () => {
  const [attempt, wait] = [8, 4];
  const waits = MOST_WAITS + MOST_WAITS_OF_CHILDREN;
  expect(MOST_WAIT_ATTEMPTS * attempt + waits * wait + 10 * SCHEDULE_MS.length * attempt).toBeLessThan(40_000);
  const [ofAttempt, ofWait] = [MOST_TOLD_BYTES + 3_000, MOST_TOLD_BYTES + 1_000];
  expect(MOST_WAIT_ATTEMPTS * ofAttempt + waits * ofWait).toBeLessThan(45 * 1024 * 1024);
});

describe('a crowd', () => {
  const never = () => new Promise<never>(() => undefined);

  it('of one host holds up neither other hosts nor another tenant’s way to it', async () => {
    const crowd = new Crowd();
    for (let i = 0; i < 8; i++) void crowd.within('acme', 'bad.example', never);
    expect(await crowd.within('acme', 'bad.example', async () => 'sent')).toBeUndefined();
    expect(await crowd.within('acme', 'good.example', async () => 'sent')).toBe('sent');
    expect(await crowd.within('other', 'bad.example', async () => 'sent')).toBe('sent');
  });

  it('of one tenant holds up no other', async () => {
    const crowd = new Crowd();
    for (let i = 0; i < 64; i++) void crowd.within('acme', `bad-${i}.example`, never);
    expect(await crowd.within('acme', 'good.example', async () => 'sent')).toBeUndefined();
    expect(await crowd.within('other', 'good.example', async () => 'sent')).toBe('sent');
  });

  it('has room again when work has ended or failed', async () => {
    const crowd = new Crowd();
    for (let i = 0; i < 20; i++) {
      await expect(crowd.within('acme', 'example', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    }
    expect(await crowd.within('acme', 'example', async () => 'sent')).toBe('sent');
  });
});
