import type { Json, JsonObject } from '../../../pipelines/json.js';
import { type AgentMessage, type AgentPlan, agentOf, type StagePlan } from '../../../pipelines/plan/index.js';
import type { StageOutcome } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { holds, type RunHost } from '../host.js';
import { type At, type Run, STOPPED, type Stopped } from '../state.js';
import { stops } from '../value.js';
import type { Reply } from './call-model.js';
import type { Agent } from './candidate.js';
import { checkedTurn, unchecked } from './checked-turn.js';
import { resultCharacters } from './conversation.js';
import { callWithin } from './fit.js';
import { withoutGuards } from './guardrails.js';
import { goesOn } from './hand-over.js';
import { ofMember, transfers } from './handoffs.js';
import { sent } from './kept.js';
import { readerName, withWholes } from './long-results.js';
import { openMemory, remembering } from './memory.js';
import { begin, type Limit, limitOf, type Progress, priced, tokensOf, usedBy, withResults } from './progress.js';
import { runTools } from './run-tools.js';
import { closeSession, type OpenSession, openSession } from './session.js';
import { finder, isSearched, toolsFor, withFound } from './tool-search.js';
import { withServers } from './tool-servers.js';

/** Position of an agent among the candidates of its stage. */
interface Candidacy {
  readonly row: string;
  readonly last: boolean;
  /** Progress of the candidates before it. */
  readonly left: Progress | undefined;
}

/** Prompts for when tools can no longer be called, and for when the answer lacks the required form. */
const NUDGES = {
  limit: 'Answer now with what you know. No tool can be called any more.',
  shaping: 'Give this answer in the form that is asked for.',
} as const;

/**
 * Lets the model call tools until it answers. Between two turns the agent may stop for a new history; within a turn the
 * memo keeps what has ended.
 */
export async function runAgent(
  run: Run,
  stage: StagePlan,
  { row, last, left }: Candidacy,
  input: JsonObject,
  at: At,
): Promise<StageOutcome | Stopped> {
  const planned = priced(agentOf(stage), run.context.placement[row]?.price);
  const listed = planned.servers ? await withServers({ run, stage, plan: planned, row, last }, at) : planned;
  const plan = withoutGuards(listed);
  const own: Agent = { run, stage, plan, row, last, reading: readerName(plan.tools) };
  const kept = at.memo.below('progress');
  const session = planned.session ? await openSession(own, at, input) : undefined;
  const memory = planned.memory ? await openMemory(own, at, input) : undefined;
  if (kept.value === undefined) {
    const { messages = [], wholes } = session ?? {};
    // What a model asks for by its name decides what is called.
    const apart = wholes &&
      resultCharacters(own, {}) !== undefined &&
      holds(at.host, 'session-results-stay') && { wholes };
    const fresh = begin(stage.id, input, { messages, ...apart });
    kept.end((left ? goesOn(left, fresh, plan) : fresh) as unknown as Json);
  }
  let progress = kept.value as unknown as Progress;
  // A team without tools still hands over, and results of earlier runs can be read.
  const acts = () =>
    plan.tools.length > 0 ||
    memory !== undefined ||
    (progress.inSession === true && progress.wholes !== undefined) ||
    (plan.team !== undefined && holds(at.host, 'handoffs-are-turns'));
  if (isSearched(plan) && progress.offered === undefined) {
    progress = { ...progress, offered: await toolsFor(own, at, String(input.prompt)) };
    kept.end(progress as unknown as Json);
  }
  for (;;) {
    if (stops(run, at)) return STOPPED;
    const limit = limitOf(plan, progress, acts);
    if (limit && plan.onLimit === 'fail') throw limitReached(stage.id, limit, progress);
    const agent = ofTurn({ ...own, ...(session && { session: session.id }), ...(memory && { memory }) }, progress);
    const turn = progress.turns + 1;
    const name = `turn-${turn}`;
    const { active } = progress;
    const inTurn: At = { ...at, memo: at.memo.below(name) };
    run.table.doing(stage.id, active === undefined ? `turn ${turn}` : `turn ${turn}, ${active}`);
    const final = limit !== undefined || progress.shaping === true || agent.plan.tools.length === 0;
    const nudge = limit ? NUDGES.limit : progress.shaping ? NUDGES.shaping : undefined;
    const asked = { turn, final, nudge };
    const summary = session?.summary;
    const ask = (host: RunHost, now: Progress, changed?: true) =>
      callWithin(agent, { ...inTurn, host }, now, { ...asked, ...(changed && { changed }) }, { kept, summary });
    // Without guardrails nothing else is awaited: the order of a history's commands depends on it.
    const answered = plan.guards
      ? await checkedTurn(agent, { at, inTurn }, { turn, progress, ask, keep: (now) => kept.end(now) })
      : unchecked(progress, await ask(at.host, progress));
    if (answered === STOPPED) return STOPPED;
    const { reply, replied } = answered;
    progress = answered.progress;
    if (final || reply.toolCalls.length === 0) {
      if (final || plan.schema === undefined || reply.data !== undefined) {
        const whole = session ? await keep(agent, at, session, replied, reply) : replied;
        return outcomeOf(plan, whole, reply, limit);
      }
      progress = {
        ...replied,
        shaping: true,
        messages: [...replied.messages, { role: 'assistant', content: reply.text }],
      };
    } else {
      const { wholes } = replied;
      // What was kept apart in this turn may be read in it.
      const more = wholes !== agent.wholes && holds(at.host, 'shortened-results-are-kept');
      const acting = more ? withWholes(agent, wholes) : agent;
      const ended = await runTools(acting, inTurn, turn, reply.toolCalls, progress.calls.length);
      if (ended === STOPPED) return STOPPED;
      run.table.called(stage.id, ended.records);
      progress = withResults(replied, reply, ended, readerName(plan.tools));
      if (ended.handoff !== undefined) progress = { ...progress, active: ended.handoff };
      if (ended.found) progress = { ...progress, offered: withFound(plan, progress.offered ?? [], ended.found) };
    }
    at.memo.drop(name);
    kept.end(progress as unknown as Json);
  }
}

/** Saves this run's part of the session; returns the progress, with one more model call if that wrote a summary. */
async function keep(agent: Agent, at: At, session: OpenSession, progress: Progress, reply: Reply): Promise<Progress> {
  const messages: AgentMessage[] = [...sent(progress.messages), { role: 'assistant', content: reply.text }];
  const { inputTokens, outputTokens } = tokensOf(reply.usage, progress.messages, reply.text);
  // From the prompt on: what was before it is in the session, or was given by the caller and is not stored in it.
  const added = messages.slice(progress.given - 1);
  return await closeSession(agent, at, session, { added, tokens: inputTokens + outputTokens, progress });
}

function outcomeOf(plan: AgentPlan, progress: Progress, reply: Reply, limit: Limit | undefined): StageOutcome {
  const { turns, calls, ms } = progress;
  const usage = usedBy(plan, progress);
  const output = {
    text: reply.text,
    said: { text: progress.said ?? '' },
    finish: reply.finish === 'length' ? 'length' : 'stop',
    ...(reply.data !== undefined && { data: reply.data }),
    turns,
    toolCalls: calls as unknown as Json,
    usage: usage as Json,
    stoppedBy: limit ?? 'answer',
    ...(progress.active !== undefined && progress.active !== plan.team?.[0]?.name && { agent: progress.active }),
  };
  const { endpoint, device } = reply;
  return { output, endpoint, device, attempt: 1, cache: 'off', queueMs: 0, runMs: Math.round(ms), usage };
}

function limitReached(stage: string, limit: Limit, { calls, wrongTurns }: Progress): StageError {
  if (limit === 'wrong-calls') {
    const { name, message } = calls.findLast(({ end }) => end === 'wrong') ?? {};
    const what = `in ${wrongTurns} turns in a row the model made an invalid tool call: ${name}: ${message}`;
    return new StageError('INVALID_TOOL_CALL', `stage "${stage}": ${what}`, { stage });
  }
  const message = `stage "${stage}": the agent did not answer within its limit of ${limit}`;
  return new StageError('LIMIT_REACHED', message, { stage });
}

/** The plan with the tools that the model sees now. */
function seenBy(agent: Agent, { offered, active }: Progress): AgentPlan {
  const plan = ofMember(agent.plan, active);
  const more = transfers(agent, active);
  if (!isSearched(plan) || !offered) return more.length === 0 ? plan : { ...plan, tools: [...plan.tools, ...more] };
  const found = plan.tools.filter(({ name }) => offered.includes(name));
  return { ...plan, tools: [...found, finder({ ...agent, plan }), ...more] };
}

/** The agent with what its conversation now has. */
function ofTurn(agent: Agent, progress: Progress): Agent {
  const most = resultCharacters(agent, progress);
  const plan = remembering({ ...agent, plan: seenBy(agent, progress) }, agent.plan.tools, most);
  const own = {
    ...agent,
    plan,
    all: ofMember(agent.plan, progress.active).tools,
    ...(most !== undefined && { resultCharacters: most }),
  };
  return withWholes(own, progress.wholes);
}
