import { canonicalJson, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { StagePolicy, StageTool, ToolPlan } from '../../../pipelines/plan/index.js';
import {
  type AskedQuestions,
  type Decision,
  type Elicited,
  type Question,
  type StageOutcome,
  subjectOf,
} from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { decide } from '../approve.js';
import { sha256 } from '../digest.js';
import type { Answering } from '../host.js';
import { Memo } from '../memo.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import type { RequestedCall } from './call-model.js';
import { runTool, spoken } from './call-tool.js';
import type { Agent } from './candidate.js';

/** Most times that a server may ask, one after the other, in one call of a tool. */
const MOST_ROUNDS = 16;
/** Attempts of a part of a call that begins nothing at the server. */
const SAFE_ATTEMPTS = 3;
/** Length of a digest in paths. */
const DIGEST_LENGTH = 12;

/** A tool of an MCP server that may ask a person during a call. */
interface AskingTool extends StageTool {
  readonly with: JsonObject & { readonly tool: string; readonly asks: number };
}

export const mayAsk = (tool: ToolPlan): tool is AskingTool =>
  tool.by === 'stage' && tool.kind === 'mcp' && typeof tool.with.asks === 'number';

/** A call of such a tool. */
export interface AskingCall {
  readonly tool: AskingTool;
  readonly call: RequestedCall;
  readonly path: string;
  /** Resolves when the call's result no longer matters; its questions are then answered with `cancel`. */
  readonly pointless?: Promise<void> | undefined;
  /** What the model is told beside the result. */
  readonly notes: string[];
  /** Called with the milliseconds that people have taken. */
  readonly waited: (ms: number) => void;
}

/** What a server has asked, in a history that goes on in a new one. */
type Round = { readonly number: number; readonly asks: AskedQuestions };

/**
 * Calls a tool whose server may ask a person. Each question is a wait of the run. Where the protocol lets a call end with its questions (version
 * 2026-07-28), the call ends, no worker is held, and the next part of the call takes the answers along. Otherwise the call stays open in its
 * worker while the person is asked: if the worker is lost, so is the call, and the question is over.
 */
export async function callAsking(agent: Agent, at: At, asking: AskingCall): Promise<StageOutcome | Stopped> {
  const kept = at.memo.below('asked');
  // What the model is told of answers that were given in the histories before.
  const told = at.memo.below('told');
  const others = asking.notes.length;
  asking.notes.push(...((told.value as unknown as readonly string[] | undefined) ?? []));
  let round = kept.value as unknown as Round | undefined;
  let answered: Answered | undefined;
  for (;;) {
    if (round === undefined || answered) {
      const outcome = await runPart(agent, at, asking, round, answered);
      const asks = outcome.output.asks as unknown as AskedQuestions | undefined;
      if (asks === undefined) return outcome;
      round = { number: (round?.number ?? 0) + 1, asks };
      if (round.number > MOST_ROUNDS) throw tooOften(agent, asking);
      at.memo.drop('answers');
      kept.end(round as unknown as Json);
    }
    answered = await answersTo(agent, at, asking, round);
    if (answered === undefined) {
      told.end(asking.notes.slice(others));
      return STOPPED;
    }
  }
}

type Answered = Readonly<Record<string, Elicited>>;

/** One activity of the call: it ends with the result, or with questions. */
function runPart(agent: Agent, at: At, asking: AskingCall, round?: Round, answers?: Answered): Promise<StageOutcome> {
  const { tool, call, path } = asking;
  const { policy } = tool;
  const options = { ...tool.with, callMs: policy.timeout.attemptMs };
  const held = heldQuestions(agent, at, asking, round?.number ?? 0);
  if (round === undefined || answers === undefined) {
    return runTool(agent, at, { ...tool, with: options, policy: patient(tool) }, path, call, held);
  }
  const { goesOn, safe } = round.asks;
  const given = answers as unknown as JsonObject;
  const digest = sha256(canonicalJson(given)).slice(0, DIGEST_LENGTH);
  const retry = { ...policy.retry, ...(safe && { attempts: Math.max(policy.retry.attempts, SAFE_ATTEMPTS) }) };
  const part = {
    ...tool,
    with: { ...options, goesOn: { ...goesOn, answers: given } },
    policy: { ...patient(tool), retry },
  };
  return runTool(agent, at, part, `${path}/answers-${round.number}:${digest}`, call, held);
}

/** A call may stay open while a person is asked: the worker limits the rest of its time to the policy's. */
function patient({ policy, with: { asks } }: AskingTool): StagePolicy {
  const { timeout } = policy;
  return {
    ...policy,
    timeout: { ...timeout, attemptMs: timeout.attemptMs + asks, totalMs: timeout.totalMs + asks },
  };
}

/** Answers what is asked while the call is open. The run cannot go on in a new history meanwhile. */
function heldQuestions(agent: Agent, at: At, asking: AskingCall, round: number): Answering {
  let count = 0;
  return async (question, over) => {
    count += 1;
    const { pointless } = asking;
    const ended = pointless === undefined ? over : Promise.race([pointless, over]);
    const own = { ...at, memo: new Memo(), mayStop: false };
    const path = `${asking.path}/open-question-${round}.${count}`;
    const began = at.host.now();
    const answer = await answerTo(agent, own, { ...asking, pointless: ended }, question, path);
    asking.waited(at.host.now() - began);
    return answer ?? CANCEL;
  };
}

/** The answers to the questions of a round; undefined if the run stops for a new history. */
async function answersTo(agent: Agent, at: At, asking: AskingCall, round: Round): Promise<Answered | undefined> {
  const { questions } = round.asks;
  const answers = at.memo.below('answers');
  const began = at.host.now();
  const given = await Promise.all(
    Object.entries(questions).map(async ([key, question], i) => {
      const memo = answers.below(String(i));
      const kept = memo.below('answer');
      if (kept.value === undefined) {
        const path = `${asking.path}/question-${round.number}.${i + 1}`;
        const answer = await answerTo(agent, { ...at, memo }, asking, question, path);
        if (answer === undefined) return undefined;
        kept.end(answer as unknown as Json);
      }
      return [key, kept.value as unknown as Elicited] as const;
    }),
  );
  asking.waited(at.host.now() - began);
  const all = given.filter((each) => each !== undefined);
  return all.length === given.length ? Object.fromEntries(all) : undefined;
}

const CANCEL: Elicited = { action: 'cancel' };

/** A person's answer, or `cancel` if there is none in time; undefined if the run stops for a new history. */
async function answerTo(
  agent: Agent,
  at: At,
  { tool, call, pointless, notes }: AskingCall,
  asked: Question,
  path: string,
): Promise<Elicited | undefined> {
  const { run, stage } = agent;
  const question = { ...asked, server: tool.model, tool: tool.with.tool };
  run.table.doing(stage.id, `waits for a person: a question of ${tool.model} during ${spoken(call)}, ${path}`);
  const limitMs = Math.max(1, run.deadline.shareOf(stage.id));
  const of = { stage: stage.id, path, timeoutMs: tool.with.asks, otherwise: false, limitMs };
  try {
    const request = { ...of, subject: subjectOf(question), question, ...(pointless !== undefined && { pointless }) };
    const decision = await decide(run, at, request);
    if (decision === undefined) return run.continuing && at.mayStop ? undefined : CANCEL;
    const note = noteOf(tool.model, decision);
    if (note !== undefined) notes.push(note);
    return answerIn(decision);
  } catch (error) {
    // The deadline ends the run; until then the server is not left without an answer.
    if (error instanceof StageError) return CANCEL;
    throw error;
  } finally {
    run.table.doing(stage.id, spoken(call));
  }
}

function answerIn({ approved, by, content }: Decision): Elicited {
  if (!approved) return by === 'timeout' ? CANCEL : { action: 'decline' };
  return { action: 'accept', ...(content && { content }) };
}

/** The model is told why, and not what was filled in: that is between the person and the server. */
function noteOf(server: string, { approved, by, reason = '' }: Decision): string | undefined {
  if (by === 'timeout') return `Nobody answered the question of "${server}" in time.`;
  if (reason === '') return undefined;
  return `A person ${approved ? 'answered' : 'declined'} the question of "${server}": ${reason}`;
}

function tooOften({ stage }: Agent, { tool }: AskingCall): StageError {
  const message = `the MCP server "${tool.model}" asked more than ${MOST_ROUNDS} times in one call`;
  return new StageError('TOOL_FAILED', message, { stage: stage.id });
}
