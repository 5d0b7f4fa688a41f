import type { Graph } from './plan.js';

/** A function of graphs that computes its result once for each. */
export function perGraph<T>(compute: (graph: Graph) => T): (graph: Graph) => T {
  const known = new WeakMap<Graph, { readonly result: T }>();
  return (graph) => {
    const found = known.get(graph) ?? { result: compute(graph) };
    known.set(graph, found);
    return found.result;
  };
}
