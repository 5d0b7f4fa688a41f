import type { EachPlan, StagePlan, Step } from '../plan/plan.js';

/** The step, marked as one of which a stream is read. */
export function withStream<S extends StagePlan | EachPlan>(step: S, of: string): S {
  const { streamed = [] } = step;
  return { ...step, streamed: [...new Set([...streamed, of])].sort() };
}

/** Marks the step with an id as one of which a stream is read. Nothing if none of these steps has the id. */
export function markStreamed(steps: Step[], id: string, of: string): void {
  const at = steps.findIndex((step) => step.id === id);
  const step = steps[at];
  if (step === undefined || !(step.kind === 'each' || 'policy' in step)) return;
  steps[at] = withStream(step as StagePlan | EachPlan, of);
}
