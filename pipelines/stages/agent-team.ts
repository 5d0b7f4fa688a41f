import { invalid } from '../definition/invalid.js';
import type { TeamMember } from '../plan/agent.js';
import { transferName } from '../plan/tool-names.js';
import type { AgentHandoff } from './agent-options.js';

const HANDOFF_NAME = /^[a-z][a-z0-9_]{0,40}$/;
const MAIN = 'main';

/** Throws `INVALID_PIPELINE` for names that are malformed, that two agents have, or that no agent has. */
export function teamOf(
  main: Pick<AgentHandoff, 'instructions' | 'tools'>,
  handoffs: readonly AgentHandoff[],
): readonly TeamMember[] {
  const names = handoffs.map(({ name }) => name);
  for (const [i, { name, description, to = [] }] of handoffs.entries()) {
    const where = `agent.handoffs[${i}]`;
    if (!HANDOFF_NAME.test(name)) throw invalid(`${where}.name`, 'must be lower-case letters, digits and _');
    if (name === MAIN || names.indexOf(name) !== i)
      throw invalid(`${where}.name`, `"${name}" is the name of another agent`);
    if (typeof description !== 'string' || description.trim() === '')
      throw invalid(`${where}.description`, 'is missing: the model hands over by it');
    const stray = to.find((other) => other !== MAIN && !names.includes(other));
    if (stray !== undefined) throw invalid(`${where}.to`, `no agent is named "${stray}"`);
  }
  const memberOf = (each: Pick<AgentHandoff, 'instructions' | 'tools'>) => ({
    ...(each.instructions !== undefined && { instructions: each.instructions }),
    tools: (each.tools ?? []).flatMap((tool) => ('plan' in tool ? [tool.plan.name] : [])),
    servers: (each.tools ?? []).flatMap((tool) => ('server' in tool ? [tool.server.server] : [])),
  });
  const taken = handoffs.flatMap((each) => memberOf(each).tools).concat(memberOf(main).tools);
  const clash = names.map(transferName).find((name) => taken.includes(name));
  if (clash !== undefined) throw invalid('agent.tools', `"${clash}" is the name of a handoff`);
  return [
    { name: MAIN, description: 'The agent that began the conversation.', ...memberOf(main), to: names },
    ...handoffs.map((each) => ({
      name: each.name,
      description: each.description,
      ...memberOf(each),
      to: each.to ?? [],
    })),
  ];
}
