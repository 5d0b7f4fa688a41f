import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { SharedRequests } from '../../../runs/shared-requests.js';

it('looks once at a time for all who ask, and tells nobody what was before they asked', async () => {
  const looks = new SharedRequests<number>();
  let state = 0;
  let running = 0;
  let most = 0;
  let count = 0;
  const look = async () => {
    count += 1;
    running += 1;
    most = Math.max(most, running);
    const seen = state;
    await sleep(20);
    running -= 1;
    return seen;
  };
  const first = looks.of('run', look);
  state = 1;
  const others = Array.from({ length: 100 }, () => looks.of('run', look));
  await sleep(5);
  state = 2;
  others.push(looks.of('run', look));
  expect(await first).toBe(0);
  expect(new Set(await Promise.all(others))).toEqual(new Set([2]));
  expect([count, most]).toEqual([2, 1]);
  state = 3;
  expect(await looks.of('run', look)).toBe(3);
});

it('keeps those with other keys apart, and looks again after a failure', async () => {
  const looks = new SharedRequests<string>();
  const failing = looks.of('a', () => Promise.reject(new Error('away')));
  const after = looks.of('a', async () => 'there');
  expect(await looks.of('b', async () => 'other')).toBe('other');
  await expect(failing).rejects.toThrow('away');
  expect(await after).toBe('there');
});
