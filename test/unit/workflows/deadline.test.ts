import { describe, expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../../pipelines/definition/policy.js';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import { Deadline } from '../../../workflows/interpreter/deadline.js';

const stage = (patienceMs?: number): StagePlan => ({
  id: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: {},
  input: {},
  policy: { ...DEFAULT_POLICY, ...(patienceMs !== undefined && { patienceMs }) },
});
const left = (ms: number, reserved = new Map<string, number>()) => new Deadline(ms, 60_000, () => 0, reserved);

describe('what a deadline leaves of a stage’s patience', () => {
  it.each([
    [10_000, 15_000, 5_000],
    [10_000, 5_000, 5_000],
    [10_000, 2_000, 2_000],
    [10_000, 0, 0],
    [3_600_000, 15_000, 15_000],
  ])('of %i ms: of %i ms of patience %i', (ms, patienceMs, expected) => {
    expect(left(ms).limit(stage(patienceMs)).policy.patienceMs).toBe(expected);
  });

  it('is half of the stage’s own share where others have a reserve', () => {
    const { policy } = left(10_000, new Map([['answer', 6_000]])).limit(stage(15_000));
    expect(policy).toMatchObject({ patienceMs: 2_000, timeout: { totalMs: 4_000 } });
  });

  it('is none where the stage has none: nothing could take its place', () => {
    expect(left(10_000).limit(stage()).policy).not.toHaveProperty('patienceMs');
    const whole = stage(15_000);
    expect(left(DEFAULT_POLICY.timeout.totalMs).limit(whole)).toBe(whole);
  });
});
