import { agentOf } from './agent.js';
import { perGraph } from './per-graph.js';
import { allSteps, callsOf, type Graph, isStage, type Step } from './plan.js';

/** Whether a run of a graph, or one of its child runs, may wait for a person's decision. */
export const asksPeople: (graph: Graph) => boolean = perGraph((graph) => [...allSteps(graph)].some(stepAsks));

function stepAsks(step: Step): boolean {
  if (step.kind === 'pipeline' && 'plan' in step) return step.run === 'child' && asksPeople(step.plan);
  if (!isStage(step)) return false;
  if (step.kind === 'approve') return true;
  return callsOf(step).some((call) => {
    if (call.kind !== 'agent') return false;
    const { tools, servers = [], guards = [] } = agentOf(call);
    const asked = tools.some(
      (tool) => tool.approval !== undefined || (tool.by === 'pipeline' && asksPeople(tool.plan)),
    );
    // Servers of tools may ask by themselves, and so may guardrails.
    return asked || servers.length > 0 || guards.length > 0;
  });
}
