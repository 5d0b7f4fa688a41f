import { type Graph, graphsOf, isStage, readsOf } from '../pipelines/plan/index.js';

/**
 * For each stage the models of `needed` that the stages call which read its output, in its own graph. Not those behind a cache, which
 * may answer without the model.
 */
export function nextModels(graph: Graph, needed: (model: string) => boolean): ReadonlyMap<string, readonly string[]> {
  const next = new Map<string, readonly string[]>();
  for (const step of graph.stages) {
    for (const inner of graphsOf(step)) for (const [id, models] of nextModels(inner, needed)) next.set(id, models);
    if (!isStage(step)) continue;
    const readers = graph.stages.filter((other) => isStage(other) && readsOf(other).includes(step.id));
    const models = readers.flatMap((other) =>
      isStage(other) && !other.cache && needed(other.model) ? other.model : [],
    );
    if (models.length > 0) next.set(step.id, [...new Set(models)]);
  }
  return next;
}
