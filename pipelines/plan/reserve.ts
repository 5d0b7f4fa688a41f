import { type Graph, graphsOf, isStage, type Step } from './plan.js';
import { readsOf } from './reads.js';

/** Milliseconds that each step must leave for the steps after it, by id: the longest chain of reserves. */
export function reservedAfter(graph: Graph): ReadonlyMap<string, number> {
  const after = new Map<string, number>();
  if (reserveOf(graph) > 0) fill(graph, 0, after);
  return after;
}

/** `beyond`: time needed after the graph itself. */
function fill(graph: Graph, beyond: number, after: Map<string, number>): void {
  for (const step of [...graph.stages].reverse()) {
    const readers = graph.stages.filter((other) => readsOf(other).includes(step.id));
    const chains = readers.map((reader) => needOfStep(reader) + (after.get(reader.id) ?? 0));
    after.set(step.id, Math.max(beyond, ...chains));
    for (const inner of graphsOf(step)) fill(inner, after.get(step.id) ?? 0, after);
  }
}

/** The longest chain of reserves in a graph, in milliseconds; the minimum deadline. */
export function reserveOf(graph: Graph): number {
  const chains = new Map<string, number>();
  for (const step of graph.stages) {
    const before = readsOf(step).map((source) => chains.get(source) ?? 0);
    chains.set(step.id, needOfStep(step) + Math.max(0, ...before));
  }
  return Math.max(0, ...chains.values());
}

/** Control flow needs the longest of its graphs, counted once: the number of iterations is not known. */
const needOfStep = (step: Step): number =>
  isStage(step) ? (step.reserveMs ?? 0) : Math.max(0, ...graphsOf(step).map(reserveOf));
