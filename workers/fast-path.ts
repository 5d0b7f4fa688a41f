import type { Redis } from 'ioredis';
import type { FastPath } from '../gateway/index.js';
import type { Plan } from '../pipelines/plan/index.js';
import { FastJobs } from '../stores/jobs/index.js';
import { isOneSegment, wanted } from '../workflows/interpreter/index.js';

/** The gateway's way to the fast hosts of a task queue. */
export const createFastPath = (redis: Redis, queue: string): FastPath => ({
  jobs: new FastJobs(redis, queue),
  isOneSegment: runsAsOneSegment,
});

/** Whether all that a run of the plan does, for these fields of its output, is one segment. */
export function runsAsOneSegment(plan: Plan, outputs: readonly string[] | undefined): boolean {
  const { output, steps } = wanted(plan, outputs);
  return isOneSegment({ stages: plan.stages.filter(({ id }) => steps.has(id)), output });
}
