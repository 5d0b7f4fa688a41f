import type { AgentPlan } from '../plan/agent.js';
import { invalid } from './invalid.js';

/** Checks that an agent's tools fit into the run. Throws `INVALID_PIPELINE` naming the stage and the tool. */
export function checkTools(id: string, plan: AgentPlan, deadlineMs: number): void {
  const { tools, servers = [], maxTurns, onLimit } = plan;
  if (tools.length + servers.length > 0 && maxTurns === 1 && onLimit === 'answer') {
    throw invalid(`${id}.maxTurns`, 'is 1: the only turn produces the answer, without tools');
  }
  const waits = [
    ...tools.map(({ name, approval }) => ({ name, what: 'approval', ms: approval?.timeoutMs })),
    ...servers.map(({ server, approval }) => ({ name: server, what: 'approval', ms: approval?.timeoutMs })),
    ...servers.map(({ server, elicitation }) => ({ name: server, what: 'elicitation', ms: elicitation?.timeoutMs })),
  ];
  for (const { name, what, ms = 0 } of waits) {
    if (ms <= deadlineMs) continue;
    const message = `is ${ms} ms, longer than the pipeline’s deadline of ${deadlineMs} ms`;
    throw invalid(`${id}.tools.${name}.${what}.timeout`, message);
  }
}
