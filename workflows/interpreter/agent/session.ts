import type { Json, JsonObject } from '../../../pipelines/json.js';
import { type AgentMessage, type StagePlan, sessionRow } from '../../../pipelines/plan/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import { concernsAll } from '../host.js';
import { sessionsOf } from '../sessions-of.js';
import type { At } from '../state.js';
import { callModel, type Reply } from './call-model.js';
import type { Agent } from './candidate.js';

/** A conversation that continues across runs. */
export interface OpenSession {
  readonly id: string;
  /** Summary of earlier messages, sent in the system message. */
  readonly summary?: string;
  readonly messages: readonly AgentMessage[];
  readonly parts: number;
}

/** Reads the session named in the agent's input, once; undefined if none is named. */
export async function openSession(agent: Agent, at: At, input: JsonObject): Promise<OpenSession | undefined> {
  const { session: id } = input;
  if (!agent.plan.session || typeof id !== 'string') return undefined;
  const kept = at.memo.below('session');
  if (kept.value === undefined) {
    const read = await call(agent, at, 'load', { session: id, of: sessionsOf(agent.run.context) });
    kept.end({ id, ...read });
  }
  return kept.value as unknown as OpenSession;
}

/** Prompt for summarizing a long session. */
const SUMMARIZE =
  'Sum up this conversation so far in one paragraph, for yourself to go on with later: who the user is, names, numbers, what was decided and done, what is open. Nothing else.';

/**
 * Saves this run's messages to the session. If the conversation exceeds the session's limit, a summary written by the
 * model replaces the earlier messages; if that fails, they are kept and the next run tries again.
 */
export async function closeSession(
  agent: Agent,
  at: At,
  session: OpenSession,
  {
    added,
    tokens,
    turns,
  }: { readonly added: readonly AgentMessage[]; readonly tokens: number; readonly turns: number },
): Promise<Reply | undefined> {
  const long = session.messages.length > 0 && tokens > (agent.plan.session?.summarizeOver ?? Number.POSITIVE_INFINITY);
  const reply = long ? await summarized(agent, at, session, turns) : undefined;
  const summary = reply && { text: reply.text, upTo: session.parts };
  const part = { messages: added, ...(summary && { summary }) };
  const of = sessionsOf(agent.run.context);
  await call(agent, at, 'save', { session: session.id, of, part: part as unknown as Json });
  return reply;
}

async function summarized(agent: Agent, at: At, { messages }: OpenSession, turns: number): Promise<Reply | undefined> {
  const question = { turn: turns + 1, messages, final: true, nudge: SUMMARIZE, name: 'summary' } as const;
  try {
    const reply = await callModel(agent, { ...at, memo: at.memo.below('summary') }, question);
    return reply.text.trim() === '' ? undefined : reply;
  } catch (error) {
    if (error instanceof StageError && !concernsAll(error)) return undefined;
    throw error;
  }
}

/** A separate activity. A write has the same key in every attempt and is applied once. */
async function call(
  { run, stage, plan, row }: Agent,
  at: At,
  what: 'load' | 'save',
  input: JsonObject,
): Promise<JsonObject> {
  const placed = run.context.placement[sessionRow(row)];
  if (!placed) throw new StageError('INTERNAL', 'the placement has no row for the session', { stage: stage.id });
  const { fallback: _, degrade: __, ...bare } = stage;
  const options = { ttlMs: plan.session?.ttlMs ?? 0 };
  const called: StagePlan = run.deadline.limit({ ...bare, kind: 'session', model: 'session', with: options });
  const path = `${at.prefix}${stage.id}/session/${what}`;
  const shown = { type: stage.id, summary: `${at.prefix}${stage.id} · ${what} the session` };
  return (await at.host.runStage(called, input, callOf(run, called, path), placed, shown)).output;
}
