import type { Json } from '../../pipelines/json.js';
import {
  allSteps,
  type EachPlan,
  type Graph,
  isStage,
  resolve,
  type Scope,
  type Step,
} from '../../pipelines/plan/index.js';
import { perGraph } from '../../pipelines/plan/per-graph.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { HistoryFull } from './history-full.js';
import { concernsAll, holds, type RunHost } from './host.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';

/** Runs a graph and returns its value. */
export async function graphValue(
  run: Run,
  graph: Graph,
  around: Scope | undefined,
  own: Readonly<Record<string, Json>>,
  at: At,
): Promise<Json | Stopped> {
  const scope = await run.graph(run, graph, around, own, at);
  return scope === STOPPED ? STOPPED : resolve(graph.output, scope);
}

/**
 * Whether a loop must stop here for a new history. Throws `LIMIT_REACHED` if it cannot, and this history is nearly over.
 * @param beside another step makes what it reads: stopping does not end the history before that step ends
 */
export function stops(run: Run, at: At, beside = false): boolean {
  if (!at.mayStop) {
    if (at.race !== undefined) checkRoom(at.race, at.host);
    return false;
  }
  run.continuing ||= at.host.full(beside || run.stays);
  return run.continuing;
}

/** Resolves when a loop may begin another item, or has to stop; undefined: at once. */
export const itemTurn = (
  run: Run,
  { body }: EachPlan,
  { host, mayStop }: At,
  halted = (): boolean => false,
): Promise<void> | undefined => host.itemTurn?.(() => halted() || (mayStop && run.continuing), startsRuns(body));

/** Whether runs of their own are started in a graph. */
const startsRuns = perGraph((graph) => [...allSteps(graph)].some(startsRun));

const startsRun = (step: Step): boolean =>
  isStage(step) ? step.kind === 'workflow' : step.kind === 'pipeline' && step.run === 'child';

/** Temporal ends a run whose history is full without a code, and without its stage table. */
function checkRoom(race: string, host: RunHost): void {
  if (host.nearlyOver?.() === true && holds(host, 'races-end-in-time')) throw new HistoryFull(race);
}

/** A failure that control flow may handle: not a cancellation, and not one that concerns the whole run. */
export const isFailure = (error: unknown, host: Pick<RunHost, 'since'>): error is StageError =>
  error instanceof StageError && !concernsAll(error, host);
