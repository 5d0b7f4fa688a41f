import type { Json } from '../../../pipelines/json.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import type { Memo } from '../memo.js';
import type { At } from '../state.js';
import { callModel, type Question, type Reply } from './call-model.js';
import type { Agent } from './candidate.js';
import { charactersAround, charactersOf, contextTokens, roomIn, tokensOfRequest } from './conversation.js';
import { withWholes } from './long-results.js';
import type { Progress } from './progress.js';
import { sentSummary } from './sent-summary.js';
import { shortened } from './shorten.js';

/** Share of the estimate that a server which does not state its context is taken to have room for. */
const ASSUMED = 0.75;

type Turn = Omit<Question, 'messages' | 'summary' | 'said'>;

/**
 * A turn's model call, with a conversation that fits: it is shortened before the call if it would not fit, and once
 * after the server has rejected it as too long. Throws `CONTEXT_TOO_LONG` if the server rejects it again.
 * @param kept where the progress is kept, so that a new history continues with the shortened conversation
 */
export async function callWithin(
  agent: Agent,
  at: At,
  progress: Progress,
  turn: Turn,
  { kept, summary }: { readonly kept: Memo; readonly summary: string | undefined },
): Promise<{ readonly reply: Reply; readonly progress: Progress }> {
  const keep = (changed: Progress): Progress => {
    kept.end(changed as unknown as Json);
    return changed;
  };
  let now = progress;
  const context = agent.plan.context && contextTokens(agent, now);
  if (context !== undefined && tokensOf(agent, at, now, summary) > roomIn(context, agent.plan)) {
    now = keep(await shortened(agent, at, now, { tokens: roomIn(context, agent.plan), summary }));
  }
  if (now.rejectedIn !== turn.turn) {
    try {
      return answered(agent, at, now, summary, await ask(agent, at, now, turn, summary));
    } catch (error) {
      if (!agent.plan.context || !(error instanceof StageError) || error.code !== 'CONTEXT_TOO_LONG') throw error;
      const stated = error.details.contextTokens;
      const context = typeof stated === 'number' ? stated : Math.floor(tokensOf(agent, at, now, summary) * ASSUMED);
      const rejected = { ...now, rejectedIn: turn.turn, ...(typeof stated === 'number' && { contextTokens: stated }) };
      now = keep(await shortened(agent, at, rejected, { tokens: roomIn(context, agent.plan), summary }));
    }
  }
  return answered(agent, at, now, summary, await ask(agent, at, now, { ...turn, again: true }, summary));
}

/** Offers the tool that reads what was kept apart just before the call, if that is known to have room for it. */
function ask(agent: Agent, at: At, now: Progress, turn: Turn, summary: string | undefined): Promise<Reply> {
  const reading = withWholes(agent, now.wholes);
  const context = contextTokens(agent, now);
  const fits = () => context !== undefined && tokensOf(reading, at, now, summary) <= roomIn(context, agent.plan);
  return callModel(reading !== agent && fits() ? reading : agent, at, {
    ...turn,
    messages: now.messages,
    summary: sentSummary(at, now, summary),
    said: now.said ?? '',
  });
}

const charactersIn = ({ plan }: Agent, at: At, now: Progress, before: string | undefined): number =>
  charactersAround(plan, sentSummary(at, now, before)) + charactersOf(now.messages);

const tokensOf = (agent: Agent, at: At, now: Progress, before: string | undefined): number =>
  tokensOfRequest(charactersIn(agent, at, now, before), now.measured);

function answered(agent: Agent, at: At, now: Progress, before: string | undefined, reply: Reply) {
  const tokens = reply.usage?.inputTokens;
  if (!agent.plan.context || tokens === undefined) return { reply, progress: now };
  return { reply, progress: { ...now, measured: { tokens, characters: charactersIn(agent, at, now, before) } } };
}
