import { Readable } from 'node:stream';
import { setImmediate as turnOver } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { joinFor, joinSmallPieces, PieceTurns } from '../../../../gateway/input/small-pieces.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = async (ms: number) => {
  await vi.advanceTimersByTimeAsync(ms);
  await turnOver();
};

/** A body as Node makes it: its pieces are pushed, and `push` says whether to read on. */
function bodyOf({ turns = new PieceTurns(), read = true, most = 1_000_000 } = {}) {
  const body = new Readable({ read: () => undefined, highWaterMark: 64 * 1024 });
  let above = 0;
  const connection = { pause: vi.fn(), resume: vi.fn() };
  joinSmallPieces(body, { turns, connection: connection as never, most, above: () => above++ });
  const pieces: Buffer[] = [];
  if (read) body.on('data', (piece: Buffer) => pieces.push(piece));
  const push = (count: number, bytes = 1) => {
    let reads = true;
    for (let i = 0; i < count; i++) reads = body.push(Buffer.alloc(bytes, i % 251));
    return reads;
  };
  const bytes = () => pieces.reduce((sum, { length }) => sum + length, 0);
  return { body, pieces, push, bytes, connection, above: () => above };
}

describe('small pieces of a body', () => {
  it('are passed on as they come where they are few', async () => {
    const { pieces, push } = bodyOf();
    await turnOver();
    expect(push(256)).toBe(true);
    expect(pieces).toHaveLength(256);
  });

  it('are put together where they are many, and reading stops until it is their turn', async () => {
    const { body, pieces, push, bytes } = bodyOf();
    await turnOver();
    expect(push(10_000)).toBe(false);
    // So do large ones among them: they would have the body read on.
    expect(push(1, 5_000)).toBe(false);
    expect(bytes()).toBe(256);
    await pass(1);
    expect(bytes()).toBe(15_000);
    expect(pieces.length).toBeLessThan(256 + 16);
    const sent = Array.from({ length: 10_000 }, (_, i) => i % 251);
    expect(Buffer.concat(pieces).subarray(0, 10_000).equals(Buffer.from(sent))).toBe(true);
    push(7);
    body.push(null);
    await pass(100);
    expect([bytes(), body.readableEnded]).toEqual([15_007, true]);
  });

  it('wait for their turn with the end of their body, and its connection is not read meanwhile', async () => {
    const { body, push, bytes, connection } = bodyOf();
    await turnOver();
    push(10_256);
    expect(body.push(null)).toBe(false);
    await turnOver();
    expect([bytes(), body.readableEnded]).toEqual([256, false]);
    expect([connection.pause.mock.calls.length, connection.resume.mock.calls.length]).toEqual([1, 0]);
    await pass(1);
    expect([bytes(), body.readableEnded]).toEqual([10_256, true]);
    expect([connection.pause.mock.calls.length, connection.resume.mock.calls.length]).toEqual([1, 1]);
  });

  it('that are few end at once', async () => {
    const { body, push, connection } = bodyOf();
    await turnOver();
    push(256);
    body.push(null);
    await turnOver();
    expect([body.readableEnded, connection.pause.mock.calls.length]).toEqual([true, 0]);
  });

  it('are as good as none if the body brings a hundred of them in a second', async () => {
    const { pieces, push } = bodyOf();
    for (let i = 0; i < 1_000; i++) {
      await pass(10);
      expect(push(1)).toBe(true);
    }
    expect(pieces).toHaveLength(1_000);
  });

  it('hold up large ones no longer than it takes to forget them', async () => {
    const { push, bytes } = bodyOf();
    await turnOver();
    push(1_000);
    await pass(6_000);
    expect(push(10, 64 * 1024)).toBe(true);
    expect(bytes()).toBe(1_000 + 10 * 64 * 1024);
  });

  it('keep neither the pieces, nor the reads that they are parts of', async () => {
    const { body } = bodyOf({ read: false });
    const read = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 1_000; i++) body.push(read.fill(i, i, i + 1).subarray(i, i + 1));
    await pass(1);
    for (let i = 0; i < 1_000; i++) {
      const piece = body.read(1) as Buffer;
      expect([piece[0], piece.buffer === read.buffer]).toEqual([i % 256, false]);
    }
  });

  it('are told of above a number', async () => {
    const { push, above } = bodyOf({ most: 500 });
    await turnOver();
    push(256 + 500);
    expect(above()).toBe(0);
    push(2);
    expect(above()).toBe(1);
  });
});

describe('bodies of many small pieces', () => {
  it('go on in turn, after a rest for what each has brought', async () => {
    const turns = new PieceTurns();
    const bodies = Array.from({ length: 3 }, () => bodyOf({ turns }));
    await turnOver();
    for (const { push } of bodies) push(10_256);
    const gone = () => bodies.map(({ bytes }) => bytes() > 256);
    await pass(1);
    expect(gone()).toEqual([true, false, false]);
    await pass(98);
    expect(gone()).toEqual([true, false, false]);
    await pass(3);
    expect(gone()).toEqual([true, true, false]);
    await pass(101);
    expect(gone()).toEqual([true, true, true]);
  });

  it('go on tenant by tenant, from when it is known whose they are', async () => {
    const turns = new PieceTurns();
    const of = (tenant: string) => {
      const one = bodyOf({ turns });
      joinFor(tenant, one.body);
      return one;
    };
    const many = Array.from({ length: 20 }, () => of('acme'));
    const [other, late] = [of('other'), bodyOf({ turns })];
    await turnOver();
    for (const { push } of [...many, other, late]) push(1_256);
    joinFor('third', late.body);
    // Each rests ten milliseconds for the thousand that it has brought.
    await pass(35);
    const gone = many.filter(({ bytes }) => bytes() > 256).length;
    expect([other.bytes(), late.bytes()]).toEqual([1_256, 1_256]);
    expect(gone).toBeLessThan(5);
    await pass(300);
    expect(many.every(({ bytes }) => bytes() === 1_256)).toBe(true);
  });

  it('do not wait for those whose client has left', async () => {
    const turns = new PieceTurns();
    const [left, other] = [bodyOf({ turns }), bodyOf({ turns })];
    await turnOver();
    for (const { push } of [left, other]) push(10_256);
    left.body.destroy();
    await pass(1);
    expect([left.bytes(), other.bytes()]).toEqual([256, 10_256]);
  });
});
