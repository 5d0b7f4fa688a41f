import { allSteps, isStage, type Plan } from '../../pipelines/plan/index.js';
import type { Placement } from '../../pipelines/run/index.js';
import { traitsOf } from '../../pipelines/stages/index.js';
import type { Queue } from './queue-stats.js';

/**
 * The task queues of a run, each with its alternatives: that of the workflows, and one for each stage that is an activity of its own.
 * Approvals have none. A child workflow’s wait is not measured, and a stage of another worker that has an alternative does not wait for it.
 */
export function queuesOf(plan: Plan, placement: Placement, taskQueue: string): readonly (readonly Queue[])[] {
  const stages = [...allSteps(plan)].flatMap((step) => {
    if (!isStage(step) || step.policy.execution === 'inline' || step.kind === 'approve') return [];
    const foreign = traitsOf(step)?.servedBy === 'temporal';
    if (foreign && (step.kind === 'workflow' || step.fallback || step.degrade)) return [];
    const placed = placement[step.id];
    return placed ? [[placed.queue, ...(placed.elsewhere ?? []).map(({ queue }) => queue)]] : [];
  });
  const distinct = new Map(stages.map((names) => [names.join(' '), names]));
  return [
    [{ name: taskQueue, type: 'workflow' }],
    ...[...distinct.values()].map((names) =>
      names.map((name, i): Queue => ({ name, type: 'activity', ...(i > 0 && { standIn: true }) })),
    ),
  ];
}
