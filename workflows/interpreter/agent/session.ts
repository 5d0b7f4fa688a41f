import type { Json, JsonObject } from '../../../pipelines/json.js';
import { type AgentMessage, type StagePlan, sessionRow } from '../../../pipelines/plan/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import { sessionsOf } from '../sessions-of.js';
import type { At } from '../state.js';
import type { Agent } from './candidate.js';
import { contextTokens, roomIn, tokensPerCharacter } from './conversation.js';
import type { Wholes } from './kept.js';
import { nameOfResult } from './long-results.js';
import { readSummary } from './notes.js';
import type { Progress } from './progress.js';
import { MOST_NOTES, NOTES, summaryOf } from './shorten.js';

/** A conversation that continues across runs. */
export interface OpenSession {
  readonly id: string;
  /** Summary of earlier messages, sent in the system message. */
  readonly summary?: string;
  readonly messages: readonly AgentMessage[];
  readonly parts: number;
  /** Long results that the messages have the beginning of, by the names in them. Absent: they are not kept. */
  readonly wholes?: Wholes;
  /** Tells it from one that begins under its id after it was erased. */
  readonly begun?: string;
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

/**
 * Saves this run's messages to the session. If the conversation exceeds the session's limit, or had to be shortened to
 * fit into the model's context, a summary replaces the earlier messages. Returns the progress with the model call that
 * wrote it.
 */
export async function closeSession(
  agent: Agent,
  at: At,
  session: OpenSession,
  {
    added,
    tokens,
    progress,
  }: { readonly added: readonly AgentMessage[]; readonly tokens: number; readonly progress: Progress },
): Promise<Progress> {
  const long = session.messages.length > 0 && tokens > (agent.plan.session?.summarizeOver ?? Number.POSITIVE_INFINITY);
  const after =
    progress.summary === undefined && long ? await summarized(agent, at, session, progress) : { ...progress };
  const { parts: upTo, begun } = session;
  const ofRun = progress.summary !== undefined && { ofRun: true };
  const replaced = { upTo, ...(begun !== undefined && { begun }), ...ofRun };
  const summary = after.summary !== undefined && { summary: { text: after.summary, ...replaced } };
  const of = sessionsOf(agent.run.context);
  const part = { messages: added, ...wholesIn(progress), ...summary };
  await call(agent, at, 'save', { session: session.id, of, part: part as unknown as Json });
  return after;
}

/** The long results that a run's messages name: later runs read on in them. A number, of a candidate that has kept none, is no name in a session. */
function wholesIn({ messages, given, wholes = {}, inSession }: Progress): { readonly wholes?: Wholes } {
  const names = inSession ? messages.slice(given - 1).map(({ whole }) => whole) : [];
  const kept = Object.entries(wholes).filter(
    ([name, whole]) => names.includes(name) && name === nameOfResult(0, whole, true),
  );
  return kept.length === 0 ? {} : { wholes: Object.fromEntries(kept) };
}

/**
 * The session's messages summed up, with what its summary had before. Without a summary if the model writes none: the
 * messages are kept, and the next run tries again.
 */
async function summarized(
  agent: Agent,
  at: At,
  { messages, summary }: OpenSession,
  progress: Progress,
): Promise<Progress> {
  const limit = agent.plan.session?.summarizeOver ?? 0;
  const context = contextTokens(agent, progress);
  const tokens = context === undefined ? limit : Math.min(limit, roomIn(context, agent.plan));
  // Only the last run is left beside them: half of the room is theirs. How many characters that is depends on the script.
  const { measured } = progress;
  const characters =
    measured === undefined ? tokens * NOTES : Math.min(tokens * MOST_NOTES, tokens / 2 / tokensPerCharacter(measured));
  const asked = { progress, before: readSummary(summary), removed: messages, tokens, characters, name: 'summary' };
  const written = await summaryOf(agent, at, asked);
  return written.written ? { ...written.progress, summary: written.summary } : written.progress;
}

/** A separate activity. A write has the same key in every attempt and is applied once. */
async function call(agent: Agent, at: At, what: 'load' | 'save', input: JsonObject): Promise<JsonObject> {
  const { id } = agent.stage;
  const path = `${at.prefix}${id}/session/${what}`;
  return await callSession(agent, at, { path, summary: `${at.prefix}${id} · ${what} the session`, input });
}

interface SessionCall {
  readonly path: string;
  /** What is displayed. */
  readonly summary: string;
  readonly input: JsonObject;
  /** A resumed run makes it again. */
  readonly again?: true;
}

/** A call of the store of sessions, as an activity of its own. */
export async function callSession(
  { run, stage, plan, row }: Agent,
  at: At,
  { path, summary, input, again }: SessionCall,
): Promise<JsonObject> {
  const placed = run.context.placement[sessionRow(row)];
  if (!placed) throw new StageError('INTERNAL', 'the placement has no row for the session', { stage: stage.id });
  const { fallback: _, degrade: __, ...bare } = stage;
  const options = { ttlMs: plan.session?.ttlMs ?? 0 };
  const called: StagePlan = run.deadline.limit({ ...bare, kind: 'session', model: 'session', with: options });
  const made = callOf(run, called, path);
  const shown = { type: stage.id, summary };
  return (await at.host.runStage(called, input, again ? { ...made, record: 'off' } : made, placed, shown)).output;
}
