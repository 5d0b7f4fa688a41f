import { changesElsewhere, type OfKind, traitsOf } from '../stages/traits.js';
import { agentOf, type ToolPlan } from './agent.js';
import { SAFE_METHODS } from './exact.js';
import { perGraph } from './per-graph.js';
import { type Alternative, allSteps, callsOf, type Graph, isStage, type Step } from './plan.js';

/**
 * Whether running a graph has effects elsewhere that are the purpose of a call: a function, a request that is not safe,
 * a tool, a child run with one of these, the memory of a session or of a user. Calls of models have none, and effects that only the
 * server knows do not count.
 */
export const hasEffects: (graph: Graph) => boolean = perGraph((graph) => [...allSteps(graph)].some(stepHasEffects));

function stepHasEffects(step: Step): boolean {
  if (step.kind === 'pipeline' && 'plan' in step) return step.run === 'child' && hasEffects(step.plan);
  if (!isStage(step)) return false;
  return callsOf(step).some(callHasEffects);
}

function callHasEffects(call: Alternative): boolean {
  if (call.kind === 'agent') {
    const { tools, servers = [], session, memory } = agentOf(call);
    return session !== undefined || memory !== undefined || servers.length > 0 || tools.some(toolHasEffects);
  }
  return isIntended(call) && !(call.kind === 'http' && SAFE_METHODS.has(call.with.method));
}

const toolHasEffects = (tool: ToolPlan): boolean =>
  tool.by === 'pipeline' ? hasEffects(tool.plan) : callHasEffects(tool);

const isIntended = (call: OfKind): boolean => changesElsewhere(call) && traitsOf(call)?.effects === 'intended';
