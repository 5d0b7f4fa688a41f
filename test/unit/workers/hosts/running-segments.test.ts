import { afterEach, describe, expect, it, vi } from 'vitest';
import { beginSegment, segmentSinks } from '../../../../workers/hosts/running-segments.js';

afterEach(() => {
  vi.useRealTimers();
});

const patient = () => new AbortController().signal;
const abandon = (workflowId: string, path: string) =>
  segmentSinks.segments.abandon.fn({ workflowId, runId: 'r' } as never, path);

describe('a running segment', () => {
  it('ends when its workflow gives it up, and no other does', () => {
    const one = beginSegment('w1', 'r', 'a', patient());
    const other = beginSegment('w1', 'r', 'b', patient());
    void abandon('w1', 'a');
    expect(one.signal.aborted).toBe(true);
    expect(other.signal.aborted).toBe(false);
    one.end();
    other.end();
  });

  it('begins with its end when it was given up before, however long ago', () => {
    vi.useFakeTimers();
    void abandon('w2', 'a');
    vi.advanceTimersByTime(3_600_000);
    expect(beginSegment('w2', 'r', 'a', patient()).signal.aborted).toBe(true);
    expect(beginSegment('w2', 'r', 'a', patient()).signal.aborted).toBe(false);
  });

  it('forgets the oldest when very many were given up and never began', () => {
    for (let i = 0; i <= 20_000; i++) void abandon('w3', String(i));
    expect(beginSegment('w3', 'r', '0', patient()).signal.aborted).toBe(false);
    expect(beginSegment('w3', 'r', '1', patient()).signal.aborted).toBe(true);
  });

  it('ends when it begins again in the same process', () => {
    const one = beginSegment('w4', 'r', 'a', patient());
    const again = beginSegment('w4', 'r', 'a', patient());
    expect(one.signal.aborted).toBe(true);
    expect(again.signal.aborted).toBe(false);
    one.end();
    void abandon('w4', 'a');
    expect(again.signal.aborted).toBe(true);
  });
});
