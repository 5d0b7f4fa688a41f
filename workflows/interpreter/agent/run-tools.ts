import { canonicalJson, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { ToolPlan } from '../../../pipelines/plan/index.js';
import {
  type Decision,
  resultText,
  type TokenUsage,
  usageOfRows,
  usageSum,
  type WaitingCall,
  withCost,
} from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { sha256 } from '../digest.js';
import { publish } from '../publish.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import { isFailure } from '../value.js';
import type { RequestedCall } from './call-model.js';
import { placedOf, runPipeline, runTool, spoken } from './call-tool.js';
import type { Agent } from './candidate.js';
import { decideInSession } from './grants.js';
import { check, isChecked, stoppedCall } from './guardrails.js';
import { handedOver } from './handoffs.js';
import { beginningOf, keepTexts } from './long-results.js';
import { guardedAs } from './memory.js';
import type { ToolRecord } from './progress.js';
import { type AskingCall, callAsking, mayAsk } from './questions.js';
import { foundText } from './tool-search.js';

/** Maximum calls executed in one turn. A model that requests more is repeating itself. */
const MOST_CALLS = 16;

/**
 * Maximum result length where long ones cannot be kept apart, in characters: a fifth of a context of 64k tokens, so that
 * there is room for an answer.
 */
const LONGEST_RESULT = 50_000;

/** Failures not reported to the model: those of the run, and of a worker that lacks what the plan needs. */
const NOT_REPORTED: ReadonlySet<string> = new Set([
  'DEADLINE_EXCEEDED',
  'RUN_CANCELLED',
  'UNKNOWN_PLAN_VERSION',
  'JOURNAL_UNAVAILABLE',
  'CODE_NOT_FOUND',
  'KIND_NOT_FOUND',
  'MODEL_NOT_CONFIGURED',
  'TOOL_SERVER_NOT_CONFIGURED',
  'SANDBOX_NOT_CONFIGURED',
  'WORKER_LOST',
  'RECORD_GONE',
  'RESUME_DIVERGED',
  'INTERNAL',
]);

export interface EndedCalls {
  /** In the order of the calls. */
  readonly records: readonly ToolRecord[];
  /** Duration of the longest call, without the wait for a person. */
  readonly ms: number;
  /** Used by models that the tools call, and by their runs. */
  readonly used?: TokenUsage;
  /** Names of tools that searches have found. */
  readonly found?: readonly string[];
  /** The member of the team that the conversation is handed over to. */
  readonly handoff?: string;
}

/**
 * Runs a turn's tool calls concurrently; `STOPPED` if one waits for a person and the run takes a new history.
 * @param from number of calls of the turns before
 */
export async function runTools(
  agent: Agent,
  at: At,
  turn: number,
  calls: readonly RequestedCall[],
  from: number,
): Promise<EndedCalls | Stopped> {
  const names = placesOf(calls);
  agent.run.table.doing(agent.stage.id, `turn ${turn}: ${calls.map(spoken).join(', ')}`);
  const failing = agent.last ? undefined : new Failing();
  const all = await Promise.all(
    calls.map(async (call, i) => {
      const place: Place = { turn, name: names[i] as string, number: from + i, failing };
      if (i >= MOST_CALLS) return tooMany(agent, at, place, call);
      const ended = toolCall(agent, at, place, call);
      return failing ? ended.catch((error: unknown) => failing.take(error)) : ended;
    }),
  );
  if (failing?.failure) throw failing.failure;
  if (all.some((ended) => ended === STOPPED)) return STOPPED;
  const ended = all as readonly EndedCall[];
  const used = ended.map((each) => each.used).reduce<TokenUsage | undefined>(usageSum, undefined);
  const ms = Math.max(0, ...ended.map((each) => each.ms));
  const found = ended.flatMap((each) => each.found ?? []);
  const handoff = ended.find((each) => each.handoff !== undefined)?.handoff;
  return {
    records: ended.map(({ record }) => record),
    ms,
    ...(used && { used }),
    ...(found.length > 0 && { found }),
    ...(handoff !== undefined && { handoff }),
  };
}

/** Names that distinguish calls of the same tool in one turn. */
export function placesOf(calls: readonly RequestedCall[]): readonly string[] {
  const seen = new Map<string, number>();
  return calls.map(({ name }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}[${count}]`;
  });
}

/** Key of a call in the memo of its turn: the turn's reply, checks, kept results and summaries have keys there too. */
export const keyOfCall = (name: string): string => (TAKEN.test(name) ? `call:${name}` : name);

const TAKEN = /^(reply$|guard:|kept-|summary-|call:)/;

/**
 * Failure of a call that ends the agent while another candidate follows. Concurrent calls finish first, because the
 * next candidate must know what was done; waits for a person are abandoned.
 */
class Failing {
  failure: StageError | undefined;
  #resolve: () => void = () => undefined;
  readonly pointless = new Promise<void>((resolve) => {
    this.#resolve = resolve;
  });

  /** Rethrows errors that are not failures of the candidate. */
  take(error: unknown): Stopped {
    if (!isFailure(error)) throw error;
    this.failure ??= error;
    this.#resolve();
    return STOPPED;
  }
}

export interface EndedCall {
  readonly record: ToolRecord;
  readonly ms: number;
  readonly used?: TokenUsage;
  readonly found?: readonly string[];
  readonly handoff?: string;
}

/** Position of a call: `name` distinguishes calls of the same tool in one turn. */
interface Place {
  readonly turn: number;
  readonly name: string;
  /** Among the agent's calls, from 0. */
  readonly number: number;
  readonly failing: Failing | undefined;
}

/** Length of a digest in paths. */
const DIGEST_LENGTH = 12;

/**
 * Path of a call in the run, which identifies it. It includes the candidate and a digest of the arguments, so that no
 * other call shares its approval, its idempotency key or its result.
 */
const pathOf = ({ row }: Agent, at: At, { turn, name }: Place, digest: string): string =>
  `${at.prefix}${row}/turn-${turn}/${name}:${digest.slice(0, DIGEST_LENGTH)}`;

function tooMany(agent: Agent, at: At, place: Place, call: RequestedCall): EndedCall {
  const message = `at most ${MOST_CALLS} tools can be called at once`;
  const record = recordOf(place.turn, call, { end: 'wrong', code: 'INVALID_TOOL_CALL', message });
  const told = toldCall(agent, at, place, call);
  told.ended(record);
  return { record, ms: 0 };
}

/** Publishes that a call is made; its end is published by `ended`. */
function toldCall(agent: Agent, at: At, place: Place, { name: tool, arguments: given }: RequestedCall) {
  const path = pathOf(agent, at, place, sha256(canonicalJson(given)));
  const of = { stage: agent.stage.id, path, attempt: 1, tool, number: place.number };
  publish(agent.run, at, { type: 'tool.called', ...of, ...(isShort(given) && { arguments: given }) });
  return {
    path,
    ended: ({ end, arguments: made, result, code, message }: ToolRecord) =>
      publish(agent.run, at, {
        type: 'tool.ended',
        ...of,
        end,
        ...(made !== given && isShort(made) && { arguments: made }),
        ...(result !== undefined && isShort(result) && { result }),
        ...(code !== undefined && { code }),
        ...(message !== undefined && { message }),
      }),
  };
}

async function toolCall(agent: Agent, at: At, place: Place, call: RequestedCall): Promise<EndedCall | Stopped> {
  const { run, stage, plan } = agent;
  const { failing } = place;
  const memo = at.memo.below(keyOfCall(place.name));
  if (memo.value !== undefined) return memo.value as unknown as EndedCall;
  const tool = plan.tools.find(({ name }) => name === call.name);
  const told = toldCall(agent, at, place, call);
  let { path } = told;
  let carried = call;
  let edited = false;
  const notes: string[] = [];
  let checks: TokenUsage | undefined;
  const end = (
    record: Partial<ToolRecord> & Pick<ToolRecord, 'end'>,
    ms: number,
    { used, found, handoff }: Pick<EndedCall, 'used' | 'found' | 'handoff'> = {},
  ): EndedCall => {
    const all = { ...record, ...(notes.length > 0 && { note: notes.join('\n') }) };
    const both = usageSum(checks, used);
    const more = { ...(both && { used: both }), ...(found && { found }), ...(handoff !== undefined && { handoff }) };
    const ended = { record: recordOf(place.turn, carried, all), ms, ...more };
    told.ended(ended.record);
    memo.end(ended as unknown as Json);
    return ended;
  };
  if (call.wrong !== undefined || !tool) {
    return end({ end: 'wrong', code: 'INVALID_TOOL_CALL', message: call.wrong ?? 'there is no such tool' }, 0);
  }
  const own: At = { ...at, memo };
  const change = (edited: JsonObject) => {
    carried = { ...call, arguments: edited };
    path = pathOf(agent, at, place, sha256(canonicalJson(edited)));
  };
  if (plan.guards && isChecked(tool)) {
    const of = { turn: place.turn, call: place.name, tools: guardedAs(agent, tool) };
    const where = { on: 'tool', ...of, subject: spoken(call) } as const;
    const checked = await check(agent, own, where, { tool: call.name, arguments: call.arguments });
    if (checked === STOPPED || failing?.failure) return STOPPED;
    checks = checked.used;
    if (checked.stopped) return end({ end: 'refused', message: stoppedCall(checked.stopped) }, 0);
    if (checked.changed.length > 0) {
      edited = true;
      change(checked.seen.arguments ?? {});
      notes.push(`${checked.changed.join(', ')} changed the arguments to ${JSON.stringify(carried.arguments)}`);
    }
  }
  if (tool.approval) {
    const given = carried.arguments;
    const digest = sha256(canonicalJson(given));
    const waiting = { tool: call.name, ...(isShort(given) && { arguments: given }), digest };
    // A call that stops for a new history while its server asks has been approved already.
    const before = memo.below('approved');
    const decision =
      (before.value as unknown as Decision | undefined) ??
      (await allowed(agent, own, tool.approval, { path, call: carried, waiting, failing }));
    if (decision === STOPPED || failing?.failure) return STOPPED;
    if (!decision.approved) return end({ end: 'refused', message: refusalOf(decision) }, 0);
    before.end(decision as unknown as Json);
    if (decision.arguments) {
      edited = true;
      change(decision.arguments);
    }
    const note = noteOf(decision);
    if (note !== undefined) notes.push(note);
  }
  const started = at.host.now();
  let waitedMs = 0;
  const ms = () => Math.max(0, at.host.now() - started - waitedMs);
  const waited = (more: number) => {
    waitedMs += more;
  };
  try {
    const ended = await carryOut(agent, own, tool, {
      path,
      call: carried,
      notes,
      waited,
      pointless: failing?.pointless,
    });
    if (ended === STOPPED) return STOPPED;
    const { result, whole, ...more } = ended;
    return end({ end: 'done', result, ...(whole && { whole }) }, ms(), more);
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    const failure = run.deadline.isOver(error) ? run.deadline.exceeded(stage.id) : error;
    const { code, message } = failure;
    const isReported = !NOT_REPORTED.has(code) && run.deadline.leftMs > 0;
    // The tool rejects its arguments: reported to the model once.
    if (isReported && code === 'INVALID_INPUT' && !edited)
      return end({ end: 'wrong', code, message: bare(message) }, ms());
    // Also recorded when it ends the agent: the next candidate must not treat a started call as not started.
    const used = error.details.usage as TokenUsage | undefined;
    const failed = end({ end: 'failed', code, message: bare(message) }, ms(), { ...(used && { used }) });
    if (!isReported || tool.onFailure === 'fail') throw failure;
    return failed;
  }
}

/** Maximum length of arguments and results shown in waits and events, in characters of their JSON. */
const LONGEST_SHOWN = 16_000;
const isShort = (shown: Json): boolean => JSON.stringify(shown).length <= LONGEST_SHOWN;

interface Allowance {
  readonly path: string;
  readonly call: RequestedCall;
  readonly waiting: WaitingCall;
  readonly failing: Failing | undefined;
}

/** A person's decision on a call, or the default. */
async function allowed(
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

const refusalOf = (decision: Decision): string =>
  decision.by === 'timeout' ? 'The call was not approved in time.' : `A person rejected the call${because(decision)}`;

/** What the model is told of an approved call besides its result. */
function noteOf(decision: Decision): string | undefined {
  const { arguments: edited, reason = '' } = decision;
  if (edited) return `A person changed the arguments to ${JSON.stringify(edited)}${because(decision)}`;
  return reason === '' ? undefined : `A person approved the call${because(decision)}`;
}

/** A result, or the beginning of a long one. */
type Result = Required<Pick<ToolRecord, 'result'>> &
  Pick<ToolRecord, 'whole'> &
  Pick<EndedCall, 'used' | 'found' | 'handoff'>;

type Carried = Omit<AskingCall, 'tool'>;

async function carryOut(agent: Agent, at: At, tool: ToolPlan, made: Carried): Promise<Result | Stopped> {
  const { path, call } = made;
  if (tool.by === 'stage' && tool.kind === 'handoff') return { result: handedOver(tool.model), handoff: tool.model };
  if (tool.by === 'pipeline') {
    const { output, stages } = await runPipeline(agent, at, tool, path, call);
    return { ...(await fitting(agent, at, path, output)), ...usedIn(usageOfRows(stages)) };
  }
  const outcome = mayAsk(tool)
    ? await callAsking(agent, at, { ...made, tool })
    : await runTool(agent, at, tool, path, call);
  if (outcome === STOPPED) return STOPPED;
  const { output, whole, usage } = outcome;
  const used = usedIn(withCost(usage, agent.run.context.placement[placedOf(agent.row, tool)]?.price));
  if (tool.kind === 'tool-search') {
    const found = output.names as readonly string[];
    return { result: foundText(agent.all ?? [], found), found };
  }
  if (whole) return { result: beginningOf(whole), whole: whole.artifact, ...used };
  const result = tool.result === undefined ? output : (output[tool.result] ?? null);
  return tool.kind === 'result' ? { result } : { ...(await fitting(agent, at, path, result)), ...used };
}

const usedIn = (used: TokenUsage | undefined): Pick<EndedCall, 'used'> => ({ ...(used && { used }) });

/** A result that a child run or another worker has returned: a long one is kept apart now. */
async function fitting(agent: Agent, at: At, path: string, result: Json): Promise<Result> {
  const text = resultText(result);
  const { resultCharacters: most } = agent;
  if (most === undefined && text.length > LONGEST_RESULT) {
    const message = `the result has ${text.length} characters, more than ${LONGEST_RESULT}: request less`;
    throw new StageError('RESULT_TOO_LARGE', message, { stage: agent.stage.id });
  }
  if (most === undefined || text.length <= most) return { result };
  const [whole] = await keepTexts(agent, at, [text], `${path}/result`);
  if (!whole) return { result };
  return { result: beginningOf({ ...whole, beginning: text.slice(0, most) }), whole: whole.artifact };
}

function recordOf(
  turn: number,
  { name, arguments: given }: RequestedCall,
  end: Partial<ToolRecord> & Pick<ToolRecord, 'end'>,
): ToolRecord {
  return { turn, name, arguments: given, ...end };
}

/** A failure's message without the stage's name, which is meaningless to the model. */
const bare = (message: string): string => message.replace(/^stage "[^"]*":? /, '');
