import { describe, expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../../pipelines/definition/policy.js';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
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

describe('a stage that the deadline cuts short', () => {
  const timedOut = new StageError('STAGE_TIMEOUT', 'the attempt took longer than 630 ms');
  it.each([
    // An attempt of 700 ms expires 70 ms ahead of Temporal's timeout; on an idle machine the run learns of it at once.
    [700, 69, true],
    [700, 120, true],
    [700, 121, false],
    [60_000, 300, true],
    [60_000, 301, false],
    [60_000, -5, true],
  ])(
    'of %i ms, with %i ms left when its timeout arrives, has exceeded the deadline: %s',
    (deadlineMs, leftMs, over) => {
      expect(new Deadline(leftMs, deadlineMs, () => 0, new Map()).isOver(timedOut)).toBe(over);
    },
  );

  it('is not what another failure is', () => {
    const failed = new StageError('BACKEND_ERROR', 'down');
    expect(new Deadline(-5, 700, () => 0, new Map()).isOver(failed)).toBe(false);
  });
});
