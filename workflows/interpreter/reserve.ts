import { type Graph, graphsOf, isStage, readsOf, type Step } from '../../pipelines/plan/index.js';

/** Milliseconds that each step has to leave for the steps after it: the longest chain of reserves, by id. */
export function reservedAfter(graph: Graph): ReadonlyMap<string, number> {
  const after = new Map<string, number>();
  if (needOf(graph) > 0) fill(graph, 0, after);
  return after;
}

/** `beyond`: what the steps after the graph itself need. */
function fill(graph: Graph, beyond: number, after: Map<string, number>): void {
  for (const step of [...graph.stages].reverse()) {
    const readers = graph.stages.filter((other) => readsOf(other).includes(step.id));
    const chains = readers.map((reader) => needOfStep(reader) + (after.get(reader.id) ?? 0));
    after.set(step.id, Math.max(beyond, ...chains));
    for (const inner of graphsOf(step)) fill(inner, after.get(step.id) ?? 0, after);
  }
}

function needOf(graph: Graph): number {
  const chains = new Map<string, number>();
  for (const step of graph.stages) {
    const before = readsOf(step).map((source) => chains.get(source) ?? 0);
    chains.set(step.id, needOfStep(step) + Math.max(0, ...before));
  }
  return Math.max(0, ...chains.values());
}

/** Of control flow the longest of its graphs, once: how often a loop turns is not known. */
const needOfStep = (step: Step): number =>
  isStage(step) ? (step.reserveMs ?? 0) : Math.max(0, ...graphsOf(step).map(needOf));
