import { type Binding, sourcesOf } from './binding.js';
import { cacheKeyOf, type Graph, graphsOf, isStage, type Step } from './plan.js';

const known = new WeakMap<Step, readonly string[]>();

/** The sources that a step reads from enclosing graphs, including reads of its inner graphs. */
export function readsOf(step: Step): readonly string[] {
  const before = known.get(step);
  if (before) return before;
  const reads = new Set(sourcesOf(ownBindings(step)));
  for (const graph of graphsOf(step)) for (const source of readsOfGraph(graph)) reads.add(source);
  // Excludes what the step itself defines for its graphs.
  const outside = [...reads].filter((source) => !source.startsWith(`${step.id}/`));
  known.set(step, outside);
  return outside;
}

/** Sources that a graph reads from outside. */
export function readsOfGraph({ stages, output }: Graph): string[] {
  const reads = new Set(sourcesOf(output));
  for (const step of stages) for (const source of readsOf(step)) reads.add(source);
  for (const { id } of stages) reads.delete(id);
  return [...reads];
}

/** What a step reads by itself, beside the graphs in it. */
export function ownBindings(step: Step): Binding {
  if (isStage(step)) return [step.input, cacheKeyOf(step)];
  switch (step.kind) {
    case 'when':
      return step.condition;
    case 'each':
      return step.over;
    case 'repeat':
      return [step.start, step.until];
    case 'pipeline':
      return step.input;
    default:
      return null;
  }
}
