import type { Artifact } from '../../../pipelines/artifact.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { type AgentMessage, type AgentPlan, type PricePlan, saidWith } from '../../../pipelines/plan/index.js';
import { costAt, resultText, type TokenUsage, usageSum } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import type { Reply } from './call-model.js';
import type { KeptMessage, Measured, Wholes } from './kept.js';
import { howToRead, nameOfResult } from './long-results.js';

/** A tool call as listed in the agent's output. */
export interface ToolRecord {
  readonly turn: number;
  /** At the first call of a turn: what the model wrote before its calls. */
  readonly said?: string;
  readonly name: string;
  readonly arguments: JsonObject;
  readonly end: 'done' | 'failed' | 'refused' | 'wrong';
  readonly result?: Json;
  /** The whole result, where `result` is its beginning. */
  readonly whole?: Artifact;
  readonly code?: string;
  readonly message?: string;
  /** What a person said or changed when approving the call. */
  readonly note?: string;
}

/** State of an agent between two turns, carried into a new history. */
export interface Progress {
  readonly messages: readonly KeptMessage[];
  /** Number of messages that it started with, of those that are left; the last of them is the prompt. */
  readonly given: number;
  readonly turns: number;
  /** Consecutive turns with a wrong tool call. */
  readonly wrongTurns: number;
  /** Of its own model calls. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Used by its tools: models that they call, and child runs. */
  readonly tools?: TokenUsage;
  /** Time in model calls and tools. */
  readonly ms: number;
  readonly calls: readonly ToolRecord[];
  /** What it has said in its turns, as in the agent's output. Absent: nothing. */
  readonly said?: string;
  /** Tokens used by earlier candidates, and their cost if a price is known. */
  readonly earlier?: { readonly inputTokens: number; readonly outputTokens: number; readonly cost?: number };
  /** The member of the team that has the conversation. Absent: the first. */
  readonly active?: string;
  /** The model has answered, but the answer does not yet have the required form. */
  readonly shaping?: true;
  /** Names of the tools that the model sees, where it does not see all. */
  readonly offered?: readonly string[];
  /** Long results that are kept apart, those of earlier runs of the session included. */
  readonly wholes?: Wholes;
  /** Its session keeps long results: no two of them have the same name. */
  readonly inSession?: true;
  /** In place of removed messages, a session's summary included. */
  readonly summary?: string;
  /** The last request. */
  readonly measured?: Measured;
  /** The model's context, as its server stated it when it rejected a request. */
  readonly contextTokens?: number;
  /** Turn in which the conversation was shortened because the server had rejected it. */
  readonly rejectedIn?: number;
}

/**
 * Throws `INVALID_INPUT` for input that a typed definition cannot produce.
 * @param before the messages of its session; `wholes`: the long results that they name, where the session keeps them
 */
export function begin(
  stage: string,
  { prompt, parts, history = [] }: JsonObject,
  { messages: before = [], wholes }: { readonly messages?: readonly AgentMessage[]; readonly wholes?: Wholes } = {},
): Progress {
  if (typeof prompt !== 'string')
    throw new StageError('INVALID_INPUT', `stage "${stage}": prompt must be a text`, { stage });
  if (!Array.isArray(history))
    throw new StageError('INVALID_INPUT', `stage "${stage}": history must be a list`, { stage });
  const messages: AgentMessage[] = [
    ...before,
    ...(history as readonly AgentMessage[]),
    { role: 'user', content: prompt, ...(Array.isArray(parts) && { parts: parts as readonly JsonObject[] }) },
  ];
  return {
    messages,
    given: messages.length,
    turns: 0,
    wrongTurns: 0,
    inputTokens: 0,
    outputTokens: 0,
    ms: 0,
    calls: [],
    ...(wholes && { inSession: true as const }),
    ...(wholes && Object.keys(wholes).length > 0 && { wholes }),
  };
}

export type Limit = 'turns' | 'tokens' | 'time' | 'cost' | 'wrong-calls';

/** Consecutive turns with a wrong call that plans of earlier releases allow. */
const WRONG_TURNS = 3;

/**
 * The limit reached before the next turn, if any.
 * @param acts whether the model has tools; it is asked at the last turn only
 */
export function limitOf(plan: AgentPlan, progress: Progress, acts: () => boolean): Limit | undefined {
  const { maxTurns, onLimit, budget = {} } = plan;
  const turn = progress.turns + 1;
  if (turn === 1) return undefined;
  // The last turn is for the answer, without tools.
  const last = onLimit === 'answer' ? turn >= maxTurns : turn > maxTurns;
  if (last && !progress.shaping && acts()) return 'turns';
  if (progress.wrongTurns >= (plan.wrongTurns ?? WRONG_TURNS)) return 'wrong-calls';
  const used = usedBy(plan, progress);
  if (budget.tokens !== undefined && used.inputTokens + used.outputTokens >= budget.tokens) return 'tokens';
  if (budget.ms !== undefined && progress.ms >= budget.ms) return 'time';
  const { cost } = used;
  return budget.cost !== undefined && cost !== undefined && cost >= budget.cost ? 'cost' : undefined;
}

/** Cost of the agent's own model calls so far; undefined without a known price. */
export function costOf({ budget }: AgentPlan, { inputTokens, outputTokens, earlier }: Progress): number | undefined {
  const price = budget?.price;
  if (!price) return earlier?.cost;
  const since = {
    inputTokens: inputTokens - (earlier?.inputTokens ?? 0),
    outputTokens: outputTokens - (earlier?.outputTokens ?? 0),
  };
  return (earlier?.cost ?? 0) + costAt(price, since);
}

/** What the agent has used so far: its own model calls, and those of its tools and their runs. */
export function usedBy(plan: AgentPlan, progress: Progress): Required<Omit<TokenUsage, 'cost'>> & TokenUsage {
  const { inputTokens, outputTokens, tools } = progress;
  const cost = costOf(plan, progress);
  const all = usageSum({ inputTokens, outputTokens, ...(cost !== undefined && { cost }) }, tools);
  return { inputTokens, outputTokens, ...all };
}

/** Characters per token, for servers that report no usage: English text and JSON have three to five. */
const CHARACTERS = 4;

/** Tokens of one model call, as reported by the server or estimated from text length. */
export function tokensOf(
  usage: TokenUsage = {},
  sent: readonly AgentMessage[],
  got: Json,
): { readonly inputTokens: number; readonly outputTokens: number } {
  const estimate = (value: unknown) => Math.ceil(JSON.stringify(value).length / CHARACTERS);
  return {
    inputTokens: usage.inputTokens ?? estimate(sent),
    outputTokens: usage.outputTokens ?? estimate(got),
  };
}

/** The plan with the pool's price, unless it has its own. */
export function priced(plan: AgentPlan, price: PricePlan | undefined): AgentPlan {
  if (!price || plan.budget?.price) return plan;
  return { ...plan, budget: { ...plan.budget, price } };
}

/** Adds a turn's model call to the progress. */
export const spent = (progress: Progress, reply: Reply): Progress => {
  const after = spentBeside(progress, reply);
  return { ...after, turns: after.turns + 1, said: saidWith(progress.said ?? '', reply.text) };
};

/** Adds a model call that is not a turn. */
export function spentBeside(progress: Progress, { usage, ms, text, toolCalls }: Reply): Progress {
  const { inputTokens, outputTokens } = tokensOf(usage, progress.messages, [text, toolCalls as unknown as Json]);
  return {
    ...progress,
    inputTokens: progress.inputTokens + inputTokens,
    outputTokens: progress.outputTokens + outputTokens,
    ms: progress.ms + ms,
  };
}

/**
 * Adds tool results to the progress: the model's requests, and a message in reply to each call.
 * @param reading name of the tool that reads long results
 */
export function withResults(
  progress: Progress,
  { text, toolCalls, reasoning }: Reply,
  { records, ms, used }: { readonly records: readonly ToolRecord[]; readonly ms: number; readonly used?: TokenUsage },
  reading: string,
): Progress {
  const tools = usageSum(progress.tools, used);
  const wholes: Record<string, Artifact> = { ...progress.wholes };
  const request: AgentMessage = {
    role: 'assistant',
    content: text,
    toolCalls: toolCalls.map(({ id, name, arguments: given }) => ({ id, name, arguments: given })),
    ...(reasoning !== undefined && { reasoning }),
  };
  const answers = records.map((record, i): KeptMessage => {
    const answer = { role: 'tool', content: contentOf(record), toolCallId: toolCalls[i]?.id ?? '' } as const;
    if (!record.whole) return answer;
    const whole = nameOfResult(Object.keys(wholes).length + 1, record.whole, progress.inSession);
    wholes[whole] = record.whole;
    return { ...answer, content: `${answer.content} ${howToRead(reading, whole)}`, whole };
  });
  const wrong = records.some(({ end }) => end === 'wrong');
  return {
    ...progress,
    messages: [...progress.messages, request, ...answers],
    calls: [...progress.calls, ...records.map((record, i) => (i === 0 ? withSaid(record, text) : record))],
    ms: progress.ms + ms,
    wrongTurns: wrong ? progress.wrongTurns + 1 : 0,
    ...(Object.keys(wholes).length > 0 && { wholes }),
    ...(tools && { tools }),
  };
}

const withSaid = (record: ToolRecord, text: string): ToolRecord =>
  text.trim() === '' ? record : { ...record, said: text };

/** Message to the model about an ended call. */
function contentOf({ end, result, code, message, note }: ToolRecord): string {
  if (end === 'refused') return message ?? '';
  const text = end === 'done' ? resultText(result ?? null) : `Error ${code}: ${message}`;
  return note === undefined ? text : `${note}\n${text}`;
}
