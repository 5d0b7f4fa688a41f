import { canonicalJson, type JsonObject } from '../../../pipelines/json.js';
import type { Decision, SessionGrant } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { type ApprovalRequest, aboutOf } from '../approval-request.js';
import { decide, decidedAlready } from '../approve.js';
import { sha256 } from '../digest.js';
import { holds } from '../host.js';
import { publish } from '../publish.js';
import { sessionsOf } from '../sessions-of.js';
import type { At } from '../state.js';
import type { Agent } from './candidate.js';
import { callSession } from './session.js';

/**
 * A person's decision on a call of a tool, or that of an approval with the scope `session`. Such an approval is kept with the session and read at
 * each call: another run of the session may have been given one, and erasing the session takes it back.
 */
export async function decideInSession(agent: Agent, at: At, asked: ApprovalRequest): Promise<Decision | undefined> {
  const request = { ...asked, carriedBy: carrierOf(agent, asked) };
  const { run, session } = agent;
  if (session === undefined || !holds(at.host, 'sessions-approve')) return await decide(run, at, request);
  const before = decidedAlready(run, at, request);
  if (before) return before;
  // A wait that goes on in a new history was begun because there was none.
  const isAsked = at.memo.below('wait').value !== undefined;
  const covering = isAsked ? undefined : await granted(agent, at, request, session);
  if (covering) return covering;
  const decision = await decide(run, at, { ...request, session });
  if (decision?.approved && decision.scope === 'session') await grant(agent, at, request, { session, decision });
  return decision;
}

async function granted(agent: Agent, at: At, request: ApprovalRequest, session: string): Promise<Decision | undefined> {
  const { run } = agent;
  const { stage, path, call } = request;
  const found = await callSession(agent, at, {
    path: `${path}/granted`,
    summary: `${path} · look for an approval of the session`,
    input: { session, of: sessionsOf(run.context), granted: keyOf(agent, request) },
    again: true,
  });
  const grant = found.grant as unknown as SessionGrant | undefined;
  if (!grant) return undefined;
  const { by, actor, at: grantedAt } = grant;
  const decision = { approved: true, by, ...(actor !== undefined && { actor }), grantedAt };
  run.table.decided(stage, { path, ...decision, about: aboutOf(request), ...(call && { tool: call.tool }) });
  publish(run, at, { type: 'stage.decided', stage, path, attempt: 1, ...decision });
  return decision;
}

async function grant(
  agent: Agent,
  at: At,
  request: ApprovalRequest,
  { session, decision: { by, actor } }: { readonly session: string; readonly decision: Decision },
): Promise<void> {
  const made: JsonObject = { by, ...(actor !== undefined && { actor }), at: new Date(at.host.now()).toISOString() };
  await callSession(agent, at, {
    path: `${request.path}/grant`,
    summary: `${request.path} · keep the approval with the session`,
    input: { session, of: sessionsOf(agent.run.context), grant: { ...made, of: keyOf(agent, request) } },
    again: true,
  });
}

/**
 * A session may be that of several pipelines: child runs are in the session of the run that has called them. A name may be that of several
 * tools: another candidate of the stage, or another MCP server, may have one.
 */
function keyOf({ run, stage }: Agent, { call, carriedBy }: ApprovalRequest): string {
  return `${run.context.plan.name}/${stage.id}/${call?.tool}/${carriedBy}`;
}

function carrierOf({ stage, plan }: Agent, { call }: ApprovalRequest): string {
  const tool = plan.tools.find(({ name }) => name === call?.tool);
  if (!tool) throw new StageError('INTERNAL', `the plan has no tool "${call?.tool}"`, { stage: stage.id });
  const by = tool.by === 'pipeline' ? [tool.by, tool.plan.name] : [tool.kind, tool.model, tool.with];
  return sha256(canonicalJson(by));
}
