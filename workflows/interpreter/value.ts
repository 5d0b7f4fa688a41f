import type { Json } from '../../pipelines/json.js';
import { type Graph, resolve, type Scope } from '../../pipelines/plan/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { concernsAll } from './host.js';
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
 * Whether a loop must stop here for a new history.
 * @param beside another step makes what it reads: stopping does not end the history before that step ends
 */
export function stops(run: Run, at: At, beside = false): boolean {
  if (!at.mayStop) return false;
  run.continuing ||= at.host.full(beside || run.stays);
  return run.continuing;
}

/** A failure that control flow may handle: not a cancellation, and not one that concerns the whole run. */
export const isFailure = (error: unknown): error is StageError => error instanceof StageError && !concernsAll(error);
