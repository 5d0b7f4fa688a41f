import { type AgentPlan, agentOf, type ToolPlan } from '../plan/agent.js';
import { seal } from '../plan/hash.js';
import { type Alternative, type Graph, isStage, type Plan, type StagePlan, type Step } from '../plan/plan.js';
import { codeMap } from '../stages/code.js';
import type { NamedCode } from '../stages/kind.js';
import type { Pipeline } from './defined.js';

/** Prefix of versions that identify a build. */
export const BUILD = 'build-';

/** Version that a deployment assigns to functions without one of their own. */
export interface Build {
  readonly version: string;
  /** Identifies the sources of the functions. */
  readonly sources: string;
}

/** The pipeline as a deployment serves it: every function named in its plan has a version. */
export function pinned<I, O>(pipeline: Pipeline<I, O>, build: Build): Pipeline<I, O> {
  const functions = [...pipeline.code.values()];
  if (functions.every(({ version }) => version !== undefined)) return pipeline;
  return {
    ...pipeline,
    plan: ofPlan(pipeline.plan, build.version),
    code: codeMap(functions.map((each) => pinnedCode(each, build))),
  };
}

export const pinnedCode = (code: NamedCode, { version, sources }: Build): NamedCode =>
  code.version === undefined ? { ...code, version, sources } : code;

function ofPlan({ version: _, ...plan }: Plan, version: string): Plan {
  return seal({ ...plan, ...ofGraph(plan, version) });
}

const ofGraph = ({ stages, output }: Graph, version: string): Graph => ({
  stages: stages.map((step) => ofStep(step, version)),
  output,
});

function ofStep(step: Step, version: string): Step {
  if (isStage(step)) return ofStage(step, version);
  switch (step.kind) {
    case 'when': {
      const { body, otherwise } = step;
      return { ...step, body: ofGraph(body, version), ...(otherwise && { otherwise: ofGraph(otherwise, version) }) };
    }
    case 'race': {
      const graphs = Object.entries(step.contenders).map(([name, graph]) => [name, ofGraph(graph, version)] as const);
      return { ...step, contenders: Object.fromEntries(graphs) };
    }
    case 'pipeline':
      return { ...step, plan: ofPlan(step.plan, version) };
    default:
      return { ...step, body: ofGraph(step.body, version) };
  }
}

function ofStage(stage: StagePlan, version: string): StagePlan {
  const { fallback, degrade } = stage;
  const of = <A extends string>(by: Alternative | A) => (typeof by === 'string' ? by : served(by, version));
  return {
    ...served(stage, version),
    ...(fallback && { fallback: fallback.map(of) }),
    ...(degrade && { degrade: degrade.map(({ belowMs, to }) => ({ belowMs, to: of(to) })) }),
  };
}

function served<A extends Alternative>(by: A, version: string): A {
  if (by.kind === 'code') return { ...by, codeVersion: by.codeVersion ?? version };
  if (by.kind !== 'agent') return by;
  const agent = agentOf(by);
  const plan: AgentPlan = { ...agent, tools: agent.tools.map((tool) => ofTool(tool, version)) };
  return { ...by, with: plan as unknown as A['with'] };
}

const ofTool = (tool: ToolPlan, version: string): ToolPlan =>
  tool.by === 'pipeline' ? { ...tool, plan: ofPlan(tool.plan, version) } : served(tool, version);
