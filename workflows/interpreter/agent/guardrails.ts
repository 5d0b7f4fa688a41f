import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import {
  type AgentPlan,
  agentOf,
  type GuardPlan,
  type StagePlan,
  type ToolPlan,
} from '../../../pipelines/plan/index.js';
import { type TokenUsage, usageOfRows, usageSum, withCost } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { wellFormed } from '../../../pipelines/well-formed.js';
import { decide } from '../approve.js';
import { sha256 } from '../digest.js';
import { holds, type RunHost } from '../host.js';
import { publish } from '../publish.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import { BUILT_IN, placedOf, runPipeline, runTool } from './call-tool.js';
import type { Agent } from './candidate.js';
import type { Failing } from './failing.js';

/** The plan without the tools that only check. */
export function withoutGuards(plan: AgentPlan): AgentPlan {
  const { guards = [], tools } = plan;
  const checks = new Set(guards.map(({ tool }) => tool));
  return checks.size === 0 ? plan : { ...plan, tools: tools.filter(({ name }) => !checks.has(name)) };
}

/** What is checked: a text, or the arguments of a call. */
interface Seen {
  readonly text?: string;
  readonly tool?: string;
  readonly arguments?: JsonObject;
}

/** What the guardrails have left of it. */
export interface Checked {
  readonly seen: Seen;
  /** The guardrail that stops the agent or the call, and why. */
  readonly stopped?: { readonly guard: string; readonly reason: string };
  /** Those that have changed it. */
  readonly changed: readonly string[];
  readonly used?: TokenUsage;
}

interface Place {
  readonly on: GuardPlan['on'];
  readonly turn: number;
  /** Name of the call within the turn. Absent for a text. */
  readonly call?: string;
  /** Names of the called tool. Absent for a text. */
  readonly tools?: readonly string[];
  /** Of a call: whether its agent has failed while another candidate follows, so that it will not be made. */
  readonly failing?: Failing | undefined;
}

/** Whether calls of the tool are checked by the guardrail; the agent's own tools are not. */
const concerns = ({ on, only }: GuardPlan, { on: seen, tools = [] }: Place): boolean =>
  on === seen && (only === undefined || tools.some((name) => only.includes(name)));

/** Whether the tool is the author's. */
export const isChecked = (tool: ToolPlan): boolean =>
  tool.by === 'pipeline' || !(BUILT_IN.has(tool.kind) || tool.kind === 'handoff');

/**
 * Lets the guardrails check one after the other, each what the one before has left, until one stops. `STOPPED` if a person is waited for
 * and the run takes a new history, or the agent has failed. Throws the error of a guardrail that fails, and `INVALID_OUTPUT` for one without a verdict.
 */
export async function check(agent: Agent, at: At, place: Place, given: Seen): Promise<Checked | Stopped> {
  const { guards = [] } = agent.plan;
  let checked: Checked = { seen: given, changed: [] };
  for (const guard of guards) {
    if (!concerns(guard, place)) continue;
    const memo = at.memo.below(`guard:${guard.name}`);
    const ended = memo.value ?? (await checkOne(agent, { ...at, memo }, guard, place, checked.seen));
    if (ended === STOPPED) return STOPPED;
    memo.end(ended as unknown as Json);
    const { seen, stopped, used } = ended as unknown as EndedCheck;
    const all = usageSum(checked.used, used);
    checked = {
      seen: seen ?? checked.seen,
      changed: seen ? [...checked.changed, guard.name] : checked.changed,
      ...(stopped !== undefined && { stopped: { guard: guard.name, reason: stopped } }),
      ...(all && { used: all }),
    };
    if (checked.stopped) break;
  }
  return checked;
}

/** Length of a digest in paths. */
const DIGEST_LENGTH = 12;

/** The end of one check: what is left of it, or why it stops; neither if it passes. */
interface EndedCheck {
  readonly seen?: Seen;
  readonly stopped?: string;
  readonly used?: TokenUsage;
}

async function checkOne(
  agent: Agent,
  at: At,
  guard: GuardPlan,
  place: Place,
  seen: Seen,
): Promise<EndedCheck | Stopped> {
  const { run, stage, row } = agent;
  const digest = sha256(
    canonicalJson({ ...seen, ...(place.call !== undefined && { call: place.call }) } as JsonObject),
  );
  const path = `${at.prefix}${row}/turn-${place.turn}/${guard.tool}:${digest.slice(0, DIGEST_LENGTH)}`;
  const asked = at.memo.below('asked');
  const kept = asked.value as { readonly reason?: string; readonly used?: TokenUsage } | undefined;
  let verdict: Verdict = { verdict: 'ask', ...(kept?.reason !== undefined && { reason: kept.reason }) };
  let used = kept?.used;
  if (kept === undefined) {
    const { result, usage } = await carriedOut(agent, at, guard, path, seen);
    used = usage;
    verdict = verdictOf(stage, guard, result, seen);
    const { reason } = verdict;
    const of = { stage: stage.id, path, attempt: 1, guardrail: guard.name, on: guard.on, verdict: verdict.verdict };
    publish(run, at, { type: 'guardrail.checked', ...of, ...(reason !== undefined && { reason }) });
  }
  const { reason = '' } = verdict;
  const more = { ...(used && { used }) };
  if (verdict.verdict === 'stop') return { stopped: reason, ...more };
  if (verdict.verdict === 'redact') return { seen: { ...seen, ...verdict.left }, ...more };
  if (verdict.verdict === 'pass') return more;
  const { failing } = place;
  const withdraws = () => holds(at.host, 'guardrails-withdraw');
  // Nobody is told of a wait that would be withdrawn at once.
  if (failing?.failure && withdraws()) return STOPPED;
  asked.end({ ...(reason !== '' && { reason }), ...(used && { used: used as Json }) });
  const limitMs = Math.max(1, run.deadline.shareOf(stage.id));
  const subject = `${guard.name}${reason === '' ? '' : ` (${reason})`}${shown(seen)}`;
  const own = { ...at, memo: at.memo.below('decision') };
  const pointless = failing?.pointless.then(() => (withdraws() ? undefined : new Promise<undefined>(() => undefined)));
  const request = { subject, stage: stage.id, path, limitMs, ...guard.ask };
  const decision = await decide(run, own, { ...request, ...(pointless !== undefined && { pointless }) });
  if (decision === undefined) return STOPPED;
  if (decision.approved) return more;
  const by = decision.by === 'timeout' ? 'not approved in time' : 'rejected by a person';
  return { stopped: decision.reason ? `${by}: ${decision.reason}` : by, ...more };
}

/** Maximum length of what a person is shown of a text, or of the JSON of arguments, in characters. */
const LONGEST_SHOWN = 16_000;

/** What a person decides on: what the guardrails before this one have left. Of a longer one the beginning, after the digest of the whole. */
function shown({ text = '', tool, arguments: given = {} }: Seen): string {
  const whole = tool === undefined ? text : canonicalJson(given);
  const of = tool === undefined ? '' : `${tool} `;
  if (whole.length <= LONGEST_SHOWN) return `: ${of}${whole}`;
  const cut = `the first ${LONGEST_SHOWN} of ${whole.length} characters, sha256 ${sha256(whole)}`;
  return `, ${cut}: ${of}${wellFormed(whole.slice(0, LONGEST_SHOWN))}…`;
}

/** Runs a guardrail's tool: a separate activity, or a separate run. */
async function carriedOut(agent: Agent, at: At, guard: GuardPlan, path: string, seen: Seen) {
  const { stage, run } = agent;
  // Its tool is one of the stage's plan; what the model sees has none of them.
  const tool = agentOf(stage).tools.find(({ name }) => name === guard.tool);
  if (!tool) throw new StageError('INTERNAL', `the plan has no tool "${guard.tool}"`, { stage: stage.id });
  const call = { id: '', name: tool.name, arguments: seen as JsonObject };
  if (tool.by === 'pipeline') {
    const { output, stages } = await runPipeline(agent, at, tool, path, call);
    return { result: output as Json, usage: usageOfRows(stages) };
  }
  const { resultCharacters: _, ...whole } = agent;
  const { output, usage } = await runTool(whole, at, tool, path, call);
  const result = tool.result === undefined ? output : (output[tool.result] ?? null);
  return { result, usage: withCost(usage, run.context.placement[placedOf(agent.row, tool)]?.price) };
}

type Verdict =
  | { readonly verdict: 'pass' | 'stop' | 'ask'; readonly reason?: string }
  | { readonly verdict: 'redact'; readonly reason?: string; readonly left: Seen };

/** Throws `INVALID_OUTPUT`: a guardrail whose verdict cannot be read must not pass. */
function verdictOf({ id: stage }: StagePlan, { name, on }: GuardPlan, given: Json, seen: Seen): Verdict {
  const { verdict, reason, text, arguments: changed } = isJsonObject(given) ? given : {};
  const why = typeof reason === 'string' && reason !== '' ? { reason } : {};
  if (verdict === 'pass' || verdict === 'stop' || verdict === 'ask') return { verdict, ...why };
  if (verdict === 'redact' && on !== 'tool' && typeof text === 'string') return { verdict, ...why, left: { text } };
  if (verdict === 'redact' && on === 'tool' && isJsonObject(changed))
    return { verdict, ...why, left: { tool: seen.tool ?? '', arguments: changed } };
  const what = verdict === 'redact' ? `"redact" without ${on === 'tool' ? 'arguments' : 'text'}` : 'no verdict';
  throw new StageError('INVALID_OUTPUT', `stage "${stage}": the guardrail "${name}" has returned ${what}`, { stage });
}

/** Throws `GUARDRAIL_STOPPED` if a guardrail stops the agent. */
export function passed({ stage }: Agent, { stopped, seen }: Checked): string {
  if (!stopped) return seen.text ?? '';
  const { guard, reason } = stopped;
  const message = `stage "${stage.id}": the guardrail "${guard}" stopped the agent${reason === '' ? '' : `: ${reason}`}`;
  throw new StageError('GUARDRAIL_STOPPED', message, { stage: stage.id });
}

/** What the model is told of a call that guardrails have stopped. */
export const stoppedCall = ({ guard, reason }: NonNullable<Checked['stopped']>): string =>
  `The guardrail ${guard} stopped the call${reason === '' ? '.' : `: ${reason}`}`;

/**
 * Checks the prompt while the model already works on it. Its reply counts only if the prompt passes as it is; otherwise the model call
 * is cancelled.
 * @returns the reply, or what is left of the prompt
 */
export async function besides<T>(
  checks: (host: RunHost) => Promise<Checked | Stopped>,
  work: (host: RunHost) => Promise<T>,
  around: RunHost,
): Promise<{ readonly checked: Checked; readonly reply?: T } | Stopped> {
  let pass: (checked: Checked) => void = () => undefined;
  const passing = new Promise<Checked>((resolve) => {
    pass = resolve;
  });
  return await around.race<{ readonly checked: Checked; readonly reply?: T } | Stopped>([
    async (host) => {
      const reply = await work(host);
      return { checked: await passing, reply };
    },
    async (host) => {
      const checked = await checks(host);
      if (checked === STOPPED) return STOPPED;
      if (checked.stopped || checked.changed.length > 0) return { checked };
      pass(checked);
      return await new Promise<never>(() => undefined);
    },
  ]);
}
