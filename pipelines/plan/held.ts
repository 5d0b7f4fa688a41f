import { traitsOf } from '../stages/traits.js';
import { type Binding, sourcesOf } from './binding.js';
import { cacheKeyOf, type Graph, graphsOf, isStage, type StagePlan } from './plan.js';
import { ownBindings } from './reads.js';

/**
 * Whether the interpreter itself needs the value of a source in a graph: a condition, a loop, an output or a child run reads it, or a
 * stage whose input the interpreter handles. Otherwise only the workers that serve its stages do, and can read it themselves.
 */
export function computesWith({ stages, output }: Graph, source: string): boolean {
  const reads = (binding: Binding) => sourcesOf(binding).includes(source);
  return (
    reads(output) ||
    stages.some((step) =>
      isStage(step)
        ? reads(cacheKeyOf(step)) || (reads(step.input) && needsInput(step))
        : reads(ownBindings(step)) || graphsOf(step).some((graph) => computesWith(graph, source)),
    )
  );
}

/** Served by the interpreter, or by workers that know no channels. */
const ELSEWHERE: ReadonlySet<string | undefined> = new Set(['interpreter', 'temporal']);

/** A semantic cache is asked with the input beside its key. */
function needsInput(stage: StagePlan): boolean {
  const { cache, fallback = [], degrade = [] } = stage;
  const ways = [stage, ...fallback, ...degrade.map(({ to }) => to)];
  return (
    cache?.kind === 'semantic' || ways.some((way) => typeof way === 'object' && ELSEWHERE.has(traitsOf(way)?.servedBy))
  );
}
