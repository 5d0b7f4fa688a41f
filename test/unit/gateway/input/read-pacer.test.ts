import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ReadPacer } from '../../../../gateway/input/read-pacer.js';

const KIBIBYTE = 1024;

/** A body that brings pieces as fast as it is read. */
const endless = (bytes: number) => new Readable({ read: () => undefined, highWaterMark: bytes });

it('lets a small body be', () => {
  const pacer = new ReadPacer();
  const body = endless(1);
  for (let i = 0; i < 16; i++) pacer.came(body, 64 * KIBIBYTE);
  expect(body.isPaused()).toBe(false);
});

it('pauses a body that has brought enough for this turn, and goes on in a later one', async () => {
  const pacer = new ReadPacer();
  const body = endless(1).resume();
  pacer.came(body, 2 * KIBIBYTE * KIBIBYTE);
  expect(body.isPaused()).toBe(true);
  await expect.poll(() => body.isPaused(), { interval: 1 }).toBe(false);
});

it('lets bodies go on in the order in which they were paused, some a turn', async () => {
  const pacer = new ReadPacer();
  const bodies = Array.from({ length: 40 }, () => endless(1).resume());
  for (const body of bodies) pacer.came(body, 2 * KIBIBYTE * KIBIBYTE);
  const paused = () => bodies.filter((body) => body.isPaused()).length;
  const seen = [paused()];
  while (paused() > 0) {
    await sleep(1);
    if (paused() !== seen.at(-1)) seen.push(paused());
  }
  expect(seen).toEqual([40, 24, 8, 0]);
  expect(bodies[0]?.isPaused()).toBe(false);
});
