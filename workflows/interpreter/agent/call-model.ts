import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import type { TokenUsage } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import { checkInput } from '../sizes.js';
import type { At } from '../state.js';
import type { Agent } from './candidate.js';
import { type KeptMessage, sent } from './kept.js';

/** A tool call of the model's reply; `wrong` says what is invalid about it. */
export interface RequestedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: JsonObject;
  readonly wrong?: string;
}

export interface Reply {
  readonly text: string;
  readonly finish: string;
  readonly toolCalls: readonly RequestedCall[];
  readonly data?: Json;
  /** Present for pools whose model wants it back in the conversation. */
  readonly reasoning?: string;
  readonly usage?: TokenUsage;
  readonly endpoint: string;
  readonly device: string;
  /** On the run's clock, including waits and retries. */
  readonly ms: number;
}

export interface Question {
  readonly turn: number;
  readonly messages: readonly KeptMessage[];
  /** Without tools, and constrained to the answer's schema. */
  readonly final: boolean;
  /** A last message for this call only. */
  readonly nudge: string | undefined;
  /** Summary of the conversation before these messages. */
  readonly summary?: string | undefined;
  /** What the agent has said in the turns before. Absent: the call is no turn. */
  readonly said?: string;
  /** Name of a call that is not a turn, in place of `turn-<n>`. It is not constrained to the answer's schema. */
  readonly name?: string;
  /** The turn's call was made before, with a conversation that was too long. */
  readonly again?: true;
  /** The turn's call was made before, with a prompt that a guardrail has changed since. */
  readonly changed?: true;
}

/** One model call of an agent: a separate activity under the stage's policy. */
export async function callModel(agent: Agent, at: At, question: Question): Promise<Reply> {
  const { run, stage, row } = agent;
  const { turn, messages, nudge, again, changed } = question;
  const { name = `turn-${turn}${changed ? '-checked' : ''}${again ? '-again' : ''}` } = question;
  const kept = at.memo.below('reply');
  if (kept.value !== undefined) return kept.value as unknown as Reply;
  const placed = run.context.placement[row];
  if (!placed) throw new StageError('INTERNAL', `the placement has no row "${row}"`, { stage: stage.id });
  const called: StagePlan = { ...stage, kind: 'chat', with: optionsOf(agent, question) };
  const limited = run.deadline.limit(called);
  const input = { history: sent(messages) as unknown as Json, ...(nudge !== undefined && { prompt: nudge }) };
  checkInput(input, stage.id);
  const started = at.host.now();
  const call = {
    ...callOf(run, limited, `${at.prefix}${row}/${name}`, streamsOf(agent, at, question)),
    ...(isMuted(agent) && { muted: true as const }),
  };
  const outcome = await at.host.runStage(limited, input, call, placed, {
    type: stage.id,
    summary: `${at.prefix}${row} · ${question.name ?? `turn ${turn}`} · ${placed.connector} · ${stage.model} @${placed.device}`,
  });
  const { text, finish, data, reasoning, toolCalls = [] } = outcome.output as unknown as Partial<Reply>;
  const reply: Reply = {
    text: text ?? '',
    finish: finish ?? 'stop',
    toolCalls,
    ...(data !== undefined && { data }),
    ...(reasoning !== undefined && { reasoning }),
    ...(outcome.usage && { usage: outcome.usage }),
    endpoint: outcome.endpoint,
    device: outcome.device,
    ms: at.host.now() - started,
  };
  kept.end(reply as unknown as Json);
  return reply;
}

/** A turn writes to the streams of its agent, whichever candidate it is. */
function streamsOf({ stage }: Agent, { host, prefix }: At, { said }: Question): Parameters<typeof callOf>[3] {
  if (said === undefined || host.streams !== true || stage.streamed === undefined) return {};
  return { streams: true, turn: { path: `${prefix}${stage.id}`, said } };
}

/** What the model writes is checked before anybody sees it. */
const isMuted = ({ plan: { guards = [] } }: Agent): boolean => guards.some(({ on }) => on === 'output');

function optionsOf({ plan }: Agent, { final, summary, name }: Question): JsonObject {
  const { instructions, maxTokens, temperature, schema, tools } = plan;
  const short = summary === undefined ? undefined : `The conversation so far, in short: ${summary}`;
  const system = [instructions, short].filter((text) => text !== undefined).join('\n\n');
  return {
    ...(system !== '' && { system }),
    maxTokens,
    temperature,
    // A schema that constrains every reply would prevent tool calls on most servers.
    ...(schema && name === undefined && { schema, ...(!final && { bind: false }) }),
    ...(!final && {
      tools: tools.map(({ name, description, schema: takes }) => ({ name, description, schema: takes })),
      wrongCalls: 'report',
    }),
  };
}
