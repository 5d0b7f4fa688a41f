import { isJsonObject, type Json } from '../json.js';
import type { Binding } from './binding.js';
import type { Graph, Step } from './plan.js';

/** The graph with `<prefix>/` before the ids of its steps and before `input`, so that it can be nested in another. */
export const prefixed = (graph: Graph, prefix: string): Graph => ({
  stages: graph.stages.map((step) => prefixedStep(step, prefix)),
  output: prefixedRefs(graph.output, prefix),
});

function prefixedStep(step: Step, prefix: string): Step {
  const renamed: Record<string, unknown> = { ...step, id: `${prefix}/${step.id}` };
  const graph = (inner: Graph) => prefixed(inner, prefix);
  for (const key of ['input', 'over', 'condition', 'start', 'until']) {
    if (key in renamed) renamed[key] = prefixedRefs(renamed[key] as Json, prefix);
  }
  if ('cache' in step && step.cache) {
    const { cache } = step;
    renamed.cache = {
      ...cache,
      ...(cache.kind === 'semantic' && { key: prefixedRefs(cache.key, prefix) }),
      ...(cache.version !== undefined && { version: prefixedRefs(cache.version, prefix) }),
    };
  }
  if ('streams' in step && step.streams) {
    renamed.streams = Object.fromEntries(
      Object.entries(step.streams).map(([field, edge]) => [field, { ...edge, from: `${prefix}/${edge.from}` }]),
    );
  }
  for (const key of ['body', 'otherwise']) if (key in renamed) renamed[key] = graph(renamed[key] as Graph);
  if ('contenders' in step) {
    renamed.contenders = Object.fromEntries(
      Object.entries(step.contenders).map(([name, inner]) => [name, graph(inner)]),
    );
  }
  // The graph of a child run has its own namespace.
  if ('plan' in step && step.run === 'inline') renamed.plan = { ...step.plan, ...graph(step.plan) };
  return renamed as unknown as Step;
}

function prefixedRefs(binding: Binding, prefix: string): Binding {
  if (Array.isArray(binding)) return binding.map((item) => prefixedRefs(item as Binding, prefix));
  if (!isJsonObject(binding)) return binding;
  if (typeof binding.$ref === 'string') return { $ref: `${prefix}/${binding.$ref}` };
  if ('$const' in binding) return binding;
  return Object.fromEntries(Object.entries(binding).map(([key, value]) => [key, prefixedRefs(value, prefix)]));
}
