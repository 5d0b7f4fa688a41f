import { describe, expect, it } from 'vitest';
import { type PolicyOptions, resolvePolicy } from '../../../pipelines/definition/policy.js';
import { durationMs, LONGEST_TIMER_MS, timerMs } from '../../../pipelines/duration.js';
import { STAGE_KINDS } from '../../../pipelines/stages/index.js';

describe('a time that a process waits out', () => {
  it('is at most what a timer can hold', () => {
    expect(timerMs('24d', 'x')).toBe(24 * 86_400_000);
    expect(timerMs(LONGEST_TIMER_MS, 'x')).toBe(LONGEST_TIMER_MS);
    expect(() => timerMs('25d', 'x')).toThrow(
      expect.objectContaining({
        code: 'INVALID_PIPELINE',
        details: { fields: [expect.objectContaining({ field: 'x' })] },
      }),
    );
    expect(durationMs('25d', 'x')).toBe(25 * 86_400_000);
  });

  it.each<[string, PolicyOptions]>([
    ['timeout.attempt', { timeout: { attempt: '30d' } }],
    ['timeout.queue', { timeout: { queue: '30d', total: '90d' } }],
    ['timeout.firstChunk', { timeout: { firstChunk: '30d' } }],
    ['timeout.idle', { timeout: { idle: '30d' } }],
    ['hedge.after', { hedge: { after: '30d' } }],
  ])('is %s', (field, options) => {
    expect(() => resolvePolicy(options, {}, 's')).toThrow(
      expect.objectContaining({ details: { fields: [{ field: `s.${field}`, message: 'longer than 24 days' }] } }),
    );
  });

  it('is not the total, nor the wait for a person', () => {
    expect(resolvePolicy({ timeout: { total: '90d' } }, {}, 's').timeout.totalMs).toBe(90 * 86_400_000);
    const year = resolvePolicy({}, STAGE_KINDS.approve.policy ?? {}, 's').timeout;
    expect(year).toEqual({ attemptMs: 365 * 86_400_000, totalMs: 365 * 86_400_000 });
  });
});
