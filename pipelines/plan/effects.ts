import { changesElsewhere, traitsOf } from '../stages/traits.js';
import { agentOf } from './agent.js';
import { SAFE_METHODS } from './exact.js';
import { perGraph } from './per-graph.js';
import { type Alternative, allSteps, callsOf, type Graph, isStage, type Step } from './plan.js';

/**
 * Whether running a graph has effects elsewhere that are the purpose of a call: a function, a request that is not safe,
 * a tool, a child run with one of these, the memory of a session or of a user. Calls of models have none, and effects that only the
 * server knows do not count.
 */
export const hasEffects: (graph: Graph) => boolean = graphsWith(
  (call) => traitsOf(call)?.effects === 'intended' && !(call.kind === 'http' && SAFE_METHODS.has(call.with.method)),
);

/** The same where effects that only the server knows count, and every request: running the graph twice may not be the same as running it once. */
export const mayHaveEffects: (graph: Graph) => boolean = graphsWith(changesElsewhere);

/** Whether a graph has a call with an effect, in child runs and tools of agents too. */
function graphsWith(isEffect: (call: Alternative) => boolean): (graph: Graph) => boolean {
  const inGraph: (graph: Graph) => boolean = perGraph((graph) => [...allSteps(graph)].some(inStep));
  function inStep(step: Step): boolean {
    if (step.kind === 'pipeline' && 'plan' in step) return step.run === 'child' && inGraph(step.plan);
    return isStage(step) && callsOf(step).some(inCall);
  }
  function inCall(call: Alternative): boolean {
    if (call.kind !== 'agent') return isEffect(call);
    const { tools, servers = [], session, memory } = agentOf(call);
    if (session !== undefined || memory !== undefined || servers.length > 0) return true;
    return tools.some((tool) => (tool.by === 'pipeline' ? inGraph(tool.plan) : inCall(tool)));
  }
  return inGraph;
}
