import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { SharedRequests } from '../../../runs/shared-requests.js';

it('looks once at a time for all who ask, and tells nobody what was before they asked', async () => {
  const requests = new SharedRequests<number>();
  let state = 0;
  let running = 0;
  let most = 0;
  let count = 0;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const request = async () => {
    count += 1;
    running += 1;
    most = Math.max(most, running);
    const seen = state;
    await ended;
    running -= 1;
    return seen;
  };
  const first = requests.of('run', request);
  state = 1;
  const others = Array.from({ length: 100 }, () => requests.of('run', request));
  await sleep(5);
  state = 2;
  others.push(requests.of('run', request));
  end();
  expect(await first).toBe(0);
  expect(new Set(await Promise.all(others))).toEqual(new Set([2]));
  expect([count, most]).toEqual([2, 1]);
  state = 3;
  expect(await requests.of('run', request)).toBe(3);
});

it('keeps those with other keys apart, and looks again after a failure', async () => {
  const requests = new SharedRequests<string>();
  const failing = requests.of('a', () => Promise.reject(new Error('away')));
  const after = requests.of('a', async () => 'there');
  expect(await requests.of('b', async () => 'other')).toBe('other');
  await expect(failing).rejects.toThrow('away');
  expect(await after).toBe('there');
});
