import type { ToolPlan } from '../../../pipelines/plan/index.js';
import type { Decision, WaitingCall } from '../../../pipelines/run/index.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import type { RequestedCall } from './call-model.js';
import { spoken } from './call-tool.js';
import type { Agent } from './candidate.js';
import type { Failing } from './failing.js';
import { decideInSession } from './grants.js';

interface Allowance {
  readonly path: string;
  readonly call: RequestedCall;
  readonly waiting: WaitingCall;
  readonly failing: Failing | undefined;
}

/** A person's decision on a call, or the default. */
export async function allowed(
  agent: Agent,
  at: At,
  approval: NonNullable<ToolPlan['approval']>,
  { path, call, waiting, failing }: Allowance,
): Promise<Decision | Stopped> {
  const { run, stage } = agent;
  run.table.doing(stage.id, `waits for a person: ${spoken(call)}, ${path}`);
  const limitMs = Math.max(1, run.deadline.shareOf(stage.id));
  const request = { ...approval, subject: spoken(call), call: waiting, stage: stage.id, path, limitMs };
  const decision = await decideInSession(agent, at, {
    ...request,
    ...(failing && { pointless: failing.pointless }),
  });
  if (decision === undefined) return STOPPED;
  run.table.doing(stage.id, spoken(call));
  return decision;
}

const because = ({ reason }: Decision): string => (reason === undefined || reason === '' ? '.' : `: ${reason}`);

export const refusalOf = (decision: Decision): string =>
  decision.by === 'timeout' ? 'The call was not approved in time.' : `A person rejected the call${because(decision)}`;

/** What the model is told of an approved call besides its result. */
export function noteOf(decision: Decision): string | undefined {
  const { arguments: edited, reason = '' } = decision;
  if (edited) return `A person changed the arguments to ${JSON.stringify(edited)}${because(decision)}`;
  return reason === '' ? undefined : `A person approved the call${because(decision)}`;
}
