import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { limited, timeLimit } from '../../../runtime/limited.js';

const patient = () => new AbortController().signal;
const deaf = () => new Promise<never>(() => undefined);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('limited work', () => {
  it('gives its result, or its error', async () => {
    expect(await limited(1_000, patient(), async () => 'done')).toBe('done');
    const error = new Error('failed');
    await expect(limited(1_000, patient(), () => Promise.reject(error))).rejects.toBe(error);
    await expect(
      limited(1_000, patient(), () => {
        throw error;
      }),
    ).rejects.toBe(error);
  });

  it('ends after its time even if it hears no signal', async () => {
    await expect(limited(20, patient(), deaf)).rejects.toMatchObject({
      name: 'TimeoutError',
      message: 'no answer within 20 ms',
    });
  });

  it('ends with the signal, for its reason', async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled');
    let seen: unknown;
    const work = limited(10_000, controller.signal, (own) => {
      own.addEventListener('abort', () => {
        seen = own.reason;
      });
      return deaf();
    });
    await sleep(1);
    controller.abort(reason);
    await expect(work).rejects.toBe(reason);
    expect(seen).toBe(reason);
  });

  it('does not begin when the signal has aborted', async () => {
    let began = false;
    const work = limited(1_000, AbortSignal.abort(new Error('late')), async () => {
      began = true;
    });
    await expect(work).rejects.toThrow('late');
    expect(began).toBe(false);
  });

  it('leaves the work’s own signal alone once it has ended', async () => {
    const controller = new AbortController();
    let own: AbortSignal | undefined;
    await limited(10, controller.signal, async (signal) => {
      own = signal;
    });
    await sleep(30);
    controller.abort();
    expect(own?.aborted).toBe(false);
  });
});

describe('a time limit', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('aborts after its time', () => {
    const { signal } = timeLimit(1_000, patient());
    vi.advanceTimersByTime(999);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('aborts with the other signal, for its reason', () => {
    const controller = new AbortController();
    const { signal } = timeLimit(1_000, controller.signal);
    const reason = new Error('left');
    controller.abort(reason);
    expect(signal.reason).toBe(reason);
    expect(timeLimit(1_000, controller.signal).signal.reason).toBe(reason);
  });

  it('aborts no more once it is released', () => {
    const controller = new AbortController();
    const { signal, release } = timeLimit(1_000, controller.signal);
    release();
    controller.abort();
    vi.advanceTimersByTime(2_000);
    expect(signal.aborted).toBe(false);
  });
});
