import type { Json } from '../../pipelines/json.js';
import { isStage, readsOf, type Step, streamsInto } from '../../pipelines/plan/index.js';
import { groupsOf, isInline } from '../../pipelines/plan/segments.js';
import { CONTROL_STEPS } from './control.js';
import { GraphValues } from './scope.js';
import { runSegment } from './segment.js';
import { runStage } from './stage.js';
import { type At, type Run, type RunGraph, type RunStep, type Sources, STOPPED, type Stopped } from './state.js';
import {
  beginningsOf,
  channelsRead,
  eachesOf,
  endsOf,
  failureBeside,
  isLost,
  restEndsFirst,
  sourcesOfReader,
  streamsMayStop,
} from './streams.js';

/**
 * Runs a graph: each step as soon as all steps that it reads have ended, independent steps in parallel. Rejects with
 * the first failure; the owner of the enclosing cancellation scope cancels the rest.
 */
export const runGraph: RunGraph = async (run, graph, around, own, outer) => {
  const eaches = eachesOf(graph.stages, outer.host);
  const begun = beginningsOf(graph.stages, outer.host, eaches);
  const streamsStop = streamsMayStop(graph.stages, begun, eaches);
  const at = begun || eaches || outer.begun || outer.eaches ? { ...outer, begun, eaches, streamsStop } : outer;
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
  try {
    const all = ends.size === 1 ? [await only] : await Promise.all(ends);
    return all.every(Boolean) ? scope : STOPPED;
  } catch (error) {
    if (!restEndsFirst(error, at)) throw error;
    throw failureBeside(await Promise.allSettled(endsOf(graph.stages, ended, at))) ?? error;
  }
};

/**
 * Waits for the earlier steps that it reads, then runs; false if it, or one of them, has stopped. One function with few
 * awaits: Temporal's sandbox takes a stack trace of every promise of a workflow, most of a run's cost in a worker.
 */
export const runStep: RunStep = async (run, step, scope, ended, at) => {
  const streams = channelsRead(step, at);
  const begun = at.begun?.get(step.id);
  for (const source of readsOf(step)) {
    // A streamed source has only to have begun.
    const earlier = (streams.includes(source) && at.begun?.get(source)?.promise) || ended.get(source);
    if (earlier !== undefined && !(await earlier)) {
      begun?.begin(false);
      return false;
    }
  }
  begun?.begin(true);
  const memo = at.memo.below(step.id);
  if (memo.value === undefined) {
    const control = CONTROL_STEPS[step.kind];
    const own = { ...at, memo };
    const value = await (streams.length > 0
      ? runReader(run, step, scope, ended, { ...own, reads: true })
      : (control ?? runStage)(run, step, scope, own));
    if (value === STOPPED) return false;
    memo.end(value);
  }
  scope.set(step.id, memo.value as Json);
  return true;
};

/** A step that reads channels; if the store loses them, it runs with the collected values. */
async function runReader(
  run: Run,
  step: Step,
  scope: GraphValues,
  ended: ReadonlyMap<string, Promise<boolean>>,
  { reads, ...at }: At,
): Promise<Json | Stopped> {
  const work = CONTROL_STEPS[step.kind] ?? runStage;
  const sources = sourcesOfReader(step, ended);
  const own: At = { ...at, sources, ...(reads && { reads }) };
  try {
    const stoppable = isStage(step) && at.mayStop && at.streamsStop === true;
    return await (stoppable ? untilStop(run, step, scope, own, sources) : work(run, step, scope, own));
  } catch (error) {
    if (!isLost(error)) throw error;
    for (const { from } of streamsInto(step)) {
      if (await ended.get(from)) continue;
      run.table.withdraw(step.id);
      return STOPPED;
    }
    return await work(run, step, scope, { ...at, sources, lost: true });
  }
}

/**
 * Runs a stage that reads what may stop for a new history: the values of an `each`, what an agent says, or what another stage makes of them.
 * It is then cancelled, since it would wait for the rest, and goes on in the new history behind what it has committed.
 */
async function untilStop(run: Run, step: Step, scope: GraphValues, at: At, sources: Sources): Promise<Json | Stopped> {
  const value = await at.host.race<Json | Stopped>([
    (host) => runStage(run, step, scope, { ...at, host }),
    () => new Promise((resolve) => sources.onStop(() => resolve(STOPPED))),
  ]);
  if (value === STOPPED) run.table.withdraw(step.id);
  return value;
}
