import { canonicalJson, type Json, type JsonObject } from '../../../pipelines/json.js';
import { type Decision, type TokenUsage, usageSum } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { sha256 } from '../digest.js';
import { publish } from '../publish.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import { allowed, noteOf, refusalOf } from './allowed.js';
import type { RequestedCall } from './call-model.js';
import type { Agent } from './candidate.js';
import { type BesideResult, carryOut } from './carry-out.js';
import type { Failing } from './failing.js';
import { check, isChecked, stoppedCall } from './guardrails.js';
import { guardedAs } from './memory.js';
import type { ToolRecord } from './progress.js';

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

/** A call that has ended, with what the model is told of it. */
export interface EndedCall extends BesideResult {
  readonly record: ToolRecord;
  /** Duration in milliseconds, without waits for a person. */
  readonly ms: number;
}

/** Position of a call: `name` distinguishes calls of the same tool in one turn. */
export interface Place {
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

/** Key of a call in the memo of its turn: the turn's reply, checks, kept results and summaries have keys there too. */
export const keyOfCall = (name: string): string => (TAKEN.test(name) ? `call:${name}` : name);

const TAKEN = /^(reply$|guard:|kept-|summary-|call:)/;

/** Publishes that a call is made; its end is published by `ended`. */
export function toldCall(agent: Agent, at: At, place: Place, { name: tool, arguments: given }: RequestedCall) {
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

/** Makes one call: checks it, asks a person if the tool requires that, and runs the tool. */
export async function toolCall(agent: Agent, at: At, place: Place, call: RequestedCall): Promise<EndedCall | Stopped> {
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
    { used, found, handoff }: BesideResult = {},
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
    const where = { on: 'tool', ...of, failing } as const;
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

export function recordOf(
  turn: number,
  { name, arguments: given }: RequestedCall,
  end: Partial<ToolRecord> & Pick<ToolRecord, 'end'>,
): ToolRecord {
  return { turn, name, arguments: given, ...end };
}

/** A failure's message without the stage's name, which is meaningless to the model. */
const bare = (message: string): string => message.replace(/^stage "[^"]*":? /, '');
