import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keepWritten } from '../../../../workers/hosts/kept-journal.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A journal whose writes end as the answers say, the last one of which stays, and the losses of its store. */
function scene(...answers: boolean[]) {
  const listeners = new Set<() => void>();
  let times = 0;
  const journal = {
    writeAgain: vi.fn(async () => {
      times += 1;
      return answers[Math.min(times, answers.length) - 1] ?? true;
    }),
  };
  const losses = {
    onLoss(lost: () => void) {
      listeners.add(lost);
      return () => void listeners.delete(lost);
    },
  };
  const lose = () => {
    for (const lost of listeners) lost();
  };
  return { written: journal.writeAgain, kept: keepWritten(journal, losses), lose, listeners };
}

describe('a journal whose store has lost data', () => {
  it('is written again once', async () => {
    const { written, lose } = scene(true);
    lose();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(written).toHaveBeenCalledTimes(1);
    lose();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(written).toHaveBeenCalledTimes(2);
  });

  it('is written until the store has it: a store that is back is slow', async () => {
    const { written, lose } = scene(false, false, true);
    lose();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(written).toHaveBeenCalledTimes(3);
  });

  it('is written once more after a loss during a write', async () => {
    const { written, lose } = scene(true);
    lose();
    lose();
    lose();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(written).toHaveBeenCalledTimes(2);
  });

  it('is written no more when nobody needs it', async () => {
    const { written, kept, lose, listeners } = scene(false);
    kept.write();
    await vi.advanceTimersByTimeAsync(600);
    const before = written.mock.calls.length;
    expect(before).toBeGreaterThan(1);
    kept.stop();
    lose();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(written).toHaveBeenCalledTimes(before);
    expect(listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
