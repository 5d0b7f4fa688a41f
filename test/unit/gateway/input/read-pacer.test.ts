import { Readable } from 'node:stream';
import { setImmediate as turnOver } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReadPacer } from '../../../../gateway/input/read-pacer.js';

const KIBIBYTE = 1024;
const PIECE = 64 * KIBIBYTE;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A body that brings pieces as fast as it is read. */
const endless = () => new Readable({ read: () => undefined, highWaterMark: 1 }).resume();

/** A pacer, and a way to read pieces of a large body, each of which takes some time. */
function paced({ others = true } = {}) {
  const clock = { now: 0 };
  const pacer = new ReadPacer(() => clock.now);
  if (others) pacer.seen('bystander');
  const read = (body: Readable, pieceMs: number, most: number, tenant = 'acme') => {
    for (let pieces = 1; pieces <= most; pieces++) {
      clock.now += pieceMs;
      pacer.came(body, PIECE, { tenant, size: 64 * KIBIBYTE * KIBIBYTE });
      if (body.isPaused()) return pieces;
    }
    return Number.POSITIVE_INFINITY;
  };
  /** Lets time pass, for the clock too. */
  const pass = async (ms: number) => {
    await turnOver();
    clock.now += ms;
    await vi.advanceTimersByTimeAsync(ms);
  };
  return { pacer, clock, read, pass };
}

describe('a large body', () => {
  it('is read for less than half a millisecond a turn, and then rests for three times as long', async () => {
    const { read, pass } = paced();
    const body = endless();
    expect(read(body, 0.25, 100)).toBe(3);
    await pass(1);
    expect(body.isPaused()).toBe(true);
    await pass(1);
    expect(body.isPaused()).toBe(false);
  });

  it('rests between two turns, also if each of them is short', async () => {
    const { read, pass } = paced();
    const body = endless();
    expect(read(body, 0.25, 1)).toBe(Number.POSITIVE_INFINITY);
    await turnOver();
    expect(read(body, 0, 1)).toBe(1);
    await pass(2);
    expect(body.isPaused()).toBe(false);
    expect(read(body, 0.25, 1)).toBe(Number.POSITIVE_INFINITY);
  });

  it('does not rest for what else the loop has done in a turn', async () => {
    const { clock, read, pass } = paced();
    const body = endless();
    expect(read(body, 0.25, 1)).toBe(Number.POSITIVE_INFINITY);
    clock.now += 500;
    expect(read(body, 0.25, 1)).toBe(1);
    await pass(10);
    expect(body.isPaused()).toBe(false);
  });

  it('has half of the time while no other tenant sends requests', async () => {
    const { pacer, clock, read, pass } = paced({ others: false });
    const body = endless();
    for (let i = 0; i < 10; i++) pacer.seen('acme');
    expect(read(body, 0.25, 100)).toBe(9);
    await pass(3);
    expect(body.isPaused()).toBe(false);
    pacer.seen('bystander');
    pacer.seen('acme');
    await turnOver();
    expect(read(body, 0.25, 100)).toBe(3);
    await pass(10);
    clock.now += 1_000;
    expect(read(body, 0.25, 100)).toBe(9);
  });

  it('is never read for more than a mebibyte a turn', () => {
    const { read } = paced({ others: false });
    expect(read(endless(), 0, 100)).toBe(17);
  });
});

it('small bodies are read at once, also where large ones rest', () => {
  const { pacer, read } = paced();
  read(endless(), 1, 100);
  const body = endless();
  for (const size of [PIECE, 2 * PIECE]) pacer.came(body, PIECE, { tenant: 'acme', size });
  expect(body.isPaused()).toBe(false);
});

describe('of bodies that rest', () => {
  /** Bodies of tenants, all of them paused, and how many of each tenant still are after every turn. */
  async function resumed(of: Readonly<Record<string, number>>) {
    const { read, pass } = paced();
    const bodies = Object.entries(of).flatMap(([tenant, count]) =>
      Array.from({ length: count }, () => ({ tenant, body: endless() })),
    );
    for (const { tenant, body } of bodies) read(body, 1, 100, tenant);
    const paused = () =>
      Object.keys(of).map((tenant) => bodies.filter((each) => each.tenant === tenant && each.body.isPaused()).length);
    const seen = [paused()];
    await turnOver();
    for (let i = 0; i < 2_000 && paused().some((count) => count > 0); i++) {
      await pass(1);
      if (String(paused()) !== String(seen.at(-1))) seen.push(paused());
    }
    return seen;
  }

  it('one of a tenant goes on at a time, in their order', async () => {
    expect(await resumed({ acme: 4 })).toEqual([[4], [3], [2], [1], [0]]);
  });

  it('every tenant has its turn, whatever another one sends', async () => {
    expect((await resumed({ hostile: 20, acme: 1, other: 2 })).slice(0, 3)).toEqual([
      [20, 1, 2],
      [19, 0, 1],
      [18, 0, 0],
    ]);
  });

  it('four go on in a turn, of different tenants', async () => {
    const six = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`tenant-${i}`, 1]));
    expect(await resumed(six)).toEqual([
      [1, 1, 1, 1, 1, 1],
      [0, 0, 0, 0, 1, 1],
      [0, 0, 0, 0, 0, 0],
    ]);
  });

  it('those whose client has left are passed over', async () => {
    const { read, pass } = paced();
    const [gone, body] = [endless(), endless()];
    for (const each of [gone, body]) read(each, 1, 100);
    gone.destroy();
    for (let i = 0; i < 30; i++) await pass(1);
    expect(body.isPaused()).toBe(false);
  });
});
