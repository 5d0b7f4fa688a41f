import type { Step } from '../plan/plan.js';

/** Marks the step with an id as one of which a stream is read. Nothing if none of these steps has the id. */
export function markStreamed(steps: Step[], id: string, of: string): void {
  const at = steps.findIndex((step) => step.id === id);
  const step = steps[at];
  if (step === undefined || !(step.kind === 'each' || 'policy' in step)) return;
  const { streamed = [] } = step as { readonly streamed?: readonly string[] };
  steps[at] = { ...step, streamed: [...new Set([...streamed, of])].sort() } as Step;
}
