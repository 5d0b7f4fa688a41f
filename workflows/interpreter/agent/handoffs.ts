import { type AgentPlan, type StageTool, type ToolPlan, transferName } from '../../../pipelines/plan/index.js';
import type { Agent } from './candidate.js';

/** The plan with the instructions and tools of the member of the team that has the conversation. */
export function ofMember(plan: AgentPlan, active: string | undefined): AgentPlan {
  const { team = [] } = plan;
  const member = team.find(({ name }) => name === active) ?? team[0];
  if (!member) return plan;
  const has = (tool: ToolPlan): boolean =>
    tool.by === 'stage' && tool.kind === 'mcp' ? member.servers.includes(tool.model) : member.tools.includes(tool.name);
  const { instructions: _, ...rest } = plan;
  const { instructions } = member;
  return { ...rest, ...(instructions !== undefined && { instructions }), tools: plan.tools.filter(has) };
}

/** Tools by which the member hands the conversation over. They are carried out by the interpreter. */
export function transfers({ stage, plan }: Agent, active: string | undefined): readonly StageTool[] {
  const { team = [] } = plan;
  const member = team.find(({ name }) => name === active) ?? team[0];
  return (member?.to ?? []).map((name) => ({
    name: transferName(name),
    description: `Hands the conversation over to ${name}. ${team.find((other) => other.name === name)?.description ?? ''}`,
    schema: {
      type: 'object',
      properties: { reason: { type: 'string', description: 'Why, in a few words' } },
      additionalProperties: false,
    },
    policy: stage.policy,
    onFailure: 'tell',
    by: 'stage',
    kind: 'handoff',
    model: name,
    with: {},
  }));
}

/** What the next member reads of a transfer. */
export const handedOver = (name: string): string => `The conversation is now with ${name}.`;
