import { type AgentPlan, agentOf, type ToolPlan } from '../plan/agent.js';
import { codeName } from '../stages/code.js';
import type { NamedCode, StageUse } from '../stages/kind.js';
import type { Pipeline } from './defined.js';
import { invalid } from './invalid.js';

type AnyUse = StageUse<never, never>;

/** Name of a tool's function among those of a worker: two pipelines may have different tools of one name. */
const scopedName = (pipeline: string, tool: string): string => `${pipeline}/${tool}`;

/** An agent whose tools' functions are named after the pipeline; any other use as it is. */
export function withScopedTools<T extends AnyUse | 'cached' | 'skip'>(use: T, pipeline: string): T {
  if (typeof use !== 'object' || use?.kind !== 'agent') return use;
  const own = (use.functions ?? []).filter(({ ofTool }) => ofTool);
  if (own.length === 0) return use;
  const names = new Set(own.map(({ name, version }) => codeName(name, version)));
  const ofTool = (tool: ToolPlan): ToolPlan =>
    tool.by === 'stage' &&
    tool.kind === 'code' &&
    names.has(codeName(tool.model, tool.codeVersion)) &&
    tool.model === tool.name
      ? { ...tool, model: scopedName(pipeline, tool.model) }
      : tool;
  const agent = agentOf(use);
  const plan: AgentPlan = { ...agent, tools: agent.tools.map(ofTool) };
  return {
    ...use,
    with: plan as unknown as AnyUse['with'],
    functions: (use.functions ?? []).map((each) => (each.ofTool ? scoped(each, pipeline) : each)),
  };
}

function scoped({ ofTool: _, ...code }: NamedCode, pipeline: string): NamedCode {
  return { ...code, name: scopedName(pipeline, code.name) };
}

/**
 * Functions that a module exports beside its pipelines, such as earlier versions of a tool for runs in progress, under
 * the names that plans have for them. Throws `INVALID_PIPELINE` for a tool that could belong to several pipelines.
 */
export function servedFunctions(functions: readonly NamedCode[], pipelines: readonly Pipeline[]): NamedCode[] {
  return functions.flatMap((each) => {
    if (!each.ofTool) return [each];
    const owners = pipelines.flatMap(({ name, code }) => {
      const own = [...code.values()].filter((other) => other.name === scopedName(name, each.name));
      return own.length > 0 ? [{ name, own }] : [];
    });
    // The function of a pipeline, exported as well.
    if (owners.some(({ own }) => own.some(({ run }) => run === each.run))) return [];
    const current = new Set(owners.flatMap(({ own }) => own.map(({ run }) => run)));
    if (owners.length > 1 && current.size > 1) {
      const names = owners.map(({ name }) => `"${name}"`).join(' and ');
      const what = codeName(each.name, each.version);
      throw invalid(what, `is exported, and ${names} have different tools of this name; rename one of them`);
    }
    return owners.map(({ name }) => scoped(each, name));
  });
}
