import { agentOf } from './agent.js';
import { allSteps, type Graph, isStage, type Step } from './plan.js';

const known = new WeakMap<Graph, boolean>();

/** Whether a run of a graph, or one of its child runs, may wait for a person's decision. */
export function asksPeople(graph: Graph): boolean {
  const before = known.get(graph);
  if (before !== undefined) return before;
  const found = [...allSteps(graph)].some(stepAsks);
  known.set(graph, found);
  return found;
}

function stepAsks(step: Step): boolean {
  if (step.kind === 'pipeline' && 'plan' in step) return step.run === 'child' && asksPeople(step.plan);
  if (!isStage(step)) return false;
  if (step.kind === 'approve') return true;
  const { fallback = [], degrade = [] } = step;
  const others = [...fallback, ...degrade.map(({ to }) => to)].filter((each) => typeof each === 'object');
  return [step, ...others].some((call) => {
    if (call.kind !== 'agent') return false;
    const { tools, servers = [] } = agentOf(call);
    const asked = tools.some(
      (tool) => tool.approval !== undefined || (tool.by === 'pipeline' && asksPeople(tool.plan)),
    );
    // Servers of tools may ask by themselves.
    return asked || servers.length > 0;
  });
}
