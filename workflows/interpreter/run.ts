import type { Json } from '../../pipelines/json.js';
import { readsOf, type Step } from '../../pipelines/plan/index.js';
import { groupsOf, isInline } from '../../pipelines/plan/segments.js';
import { CONTROL_STEPS } from './control.js';
import { GraphValues } from './scope.js';
import { runSegment } from './segment.js';
import { runStage } from './stage.js';
import { type RunGraph, type RunStep, STOPPED } from './state.js';

/**
 * Runs a graph: each step as soon as all steps that it reads have ended, independent steps in parallel. Rejects with
 * the first failure; the owner of the enclosing cancellation scope cancels the rest.
 */
export const runGraph: RunGraph = async (run, graph, around, own, at) => {
  const scope = new GraphValues(own, around);
  const ended = new Map<string, Promise<boolean>>();
  if (at.host.runSegment) {
    for (const group of groupsOf(graph)) {
      const [only] = group;
      const inline = group.length > 1 || (only !== undefined && isInline(only));
      const end = inline
        ? runSegment(run, group, graph, scope, ended, at)
        : runStep(run, only as Step, scope, ended, at);
      for (const step of group) ended.set(step.id, end);
    }
  } else {
    for (const step of graph.stages) ended.set(step.id, runStep(run, step, scope, ended, at));
  }
  const ends = new Set(ended.values());
  const [only] = ends;
  const all = ends.size === 1 ? [await only] : await Promise.all(ends);
  return all.every(Boolean) ? scope : STOPPED;
};

/**
 * Waits for the earlier steps that it reads, then runs; false if it, or one of them, has stopped. One function with few
 * awaits: Temporal's sandbox takes a stack trace of every promise of a workflow, most of a run's cost in a worker.
 */
export const runStep: RunStep = async (run, step, scope, ended, at) => {
  for (const source of readsOf(step)) {
    const earlier = ended.get(source);
    if (earlier !== undefined && !(await earlier)) return false;
  }
  const memo = at.memo.below(step.id);
  if (memo.value === undefined) {
    const control = CONTROL_STEPS[step.kind];
    const value = await (control
      ? control(run, step, scope, { ...at, memo })
      : runStage(run, step, scope, { ...at, memo }));
    if (value === STOPPED) return false;
    memo.end(value);
  }
  scope.set(step.id, memo.value as Json);
  return true;
};
