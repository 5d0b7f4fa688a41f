import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import type { OfKind } from '../definition/refused.js';
import { type Duration, durationMs } from '../duration.js';
import type { JsonObject } from '../json.js';
import {
  type AgentPlan,
  type BudgetPlan,
  type GuardPlan,
  MEMORY_TOOLS,
  memoryToolName,
  type TeamMember,
} from '../plan/agent.js';
import { type Stream, stream } from '../stream.js';
import type { ToolServer } from '../tools/mcp-tools.js';
import type { Guardrail, Tool } from '../tools/tool.js';
import { type ChatMessage, chatMessage } from './chat.js';
import { type ContentPart, contentParts } from './content.js';
import { jsonSchemaOf } from './json-schema.js';
import type { StageKind, StageUse } from './kind.js';
import { type AgentToolCall, executedCalls } from './tool-calls.js';
import { TRAITS } from './traits.js';

const input = z.object({
  prompt: z.string(),
  /** Parts of the prompt's message after its text, in order. */
  parts: contentParts.optional(),
  /** The conversation before the prompt, oldest first. */
  history: z.array(chatMessage).optional(),
});

/** At most 200 characters: a longer id is text, not a name. */
const name = z.string().min(1).max(200).nullish();
/** Input fields of an agent with `session`, and with `memory`. */
const OF_SESSION = { session: name };
const OF_MEMORY = { user: name };

const LIMITS = ['turns', 'tokens', 'time', 'cost', 'wrong-calls'] as const;

/** Text of about 2,000 tokens: half of a short context, and enough of most results. */
const RESULT_CHARACTERS = 8_000;
/** Small models choose well among so many. */
const SHOWN = 8;
/** They are all in the system message: some 1,000 tokens. */
const FACTS = 30;
/** A model that is wrong three times in a row does not learn from the messages. */
const WRONG_TURNS = 3;

const output = z.object({
  text: z.string(),
  /** Everything that the agent has written, turn by turn: the texts before its tool calls, then the answer. */
  said: z.object({ text: z.string() }),
  /** Why the answer ended: `stop`, or `length` where it was cut at `maxTokens`. */
  finish: z.enum(['stop', 'length']),
  /** Number of model calls. */
  turns: z.int(),
  toolCalls: executedCalls,
  usage: z.object({ inputTokens: z.int(), outputTokens: z.int(), cost: z.number().optional() }),
  /** With handoffs: the agent that has answered; absent if it is the first. */
  agent: z.string().optional(),
  /** `answer`: the model requested no more tools. Otherwise the limit that forced the answer. */
  stoppedBy: z.enum(['answer', ...LIMITS]),
});

/** Input of `agent`: the prompt, the history before it, and the names of the session and the user. */
export interface AgentInput {
  prompt: string;
  /** Parts of the prompt's message after its text, in order. */
  parts?: ContentPart[] | undefined;
  history?: ChatMessage[] | undefined;
  /**
   * Name of the conversation to continue, for an agent with `session`. Scoped to the called pipeline and the owner.
   */
  session?: string | null | undefined;
  /**
   * The user about whom an agent with `memory` remembers facts. Scoped like `session`. Derive it from the caller's
   * authenticated identity, never from a model's output.
   */
  user?: string | null | undefined;
}

/** Output of `agent`. */
export interface AgentOutput<Data = never> {
  text: string;
  finish: 'stop' | 'length';
  /**
   * The answer's sentences and text deltas, available when the agent has ended: until then no text is known to be the
   * answer.
   */
  sentences: Stream<string>;
  tokens: Stream<string>;
  /** Everything that the agent writes, streamed while it works. */
  said: AgentSaid;
  /** The answer, parsed as `output` specifies. */
  data: Data;
  turns: number;
  toolCalls: AgentToolCall[];
  usage: { inputTokens: number; outputTokens: number; cost?: number | undefined };
  stoppedBy: 'answer' | (typeof LIMITS)[number];
  /** With `handoffs`: the agent that has answered; absent if it is the first. */
  agent?: string | undefined;
}

/**
 * Everything that an agent writes in all its turns: before tool calls, in agents that it hands over to, and as its
 * answer.
 */
export interface AgentSaid {
  /** The texts of its turns, with a blank line between them. */
  text: string;
  /** Its sentences and text deltas, streamed. */
  sentences: Stream<string>;
  tokens: Stream<string>;
}

/**
 * Limits of an agent for all its model calls and tools together, checked before each model call. At a limit `onLimit`
 * applies.
 */
export interface AgentBudget {
  /** Input and output tokens of all model calls together. */
  readonly tokens?: number;
  /** Time in model calls and tools, without waits for a person. */
  readonly time?: Duration;
  /** In the currency of `price`. */
  readonly cost?: number;
  /** Per million tokens. Default: the pool's price in the models file. */
  readonly price?: { readonly input: number; readonly output: number };
}

/** How the conversation of an agent is kept across runs. */
export interface AgentSession {
  /** How long a session is kept after its last run. Default `'7d'`. */
  readonly keep?: Duration;
  /**
   * When a run's last model call exceeds this number of tokens, a summary written by the model replaces the
   * conversation before that run. Default 3,000: leaves room in a context of 4,096.
   */
  readonly summarizeOver?: number;
}

/** How facts about a user are kept across runs and conversations. */
export interface AgentMemory {
  /** How long the facts of a user are kept after the last one was added. Default `'365d'`. */
  readonly keep?: Duration;
  /**
   * Maximum number of facts about a user, 1 to 100. Default 30. Beyond it the model must forget one before it can
   * remember another.
   */
  readonly facts?: number;
}

/** Limits within which an agent keeps its conversation. */
export interface AgentContext {
  /**
   * The model's context, in tokens. Default: `contextTokens` of its pool in the models file. If neither is set, the
   * conversation is shortened only after the server has rejected it as too long.
   */
  readonly tokens?: number;
  /**
   * Maximum characters of a tool's result that the model gets at once; it can read the rest in parts. Default 8,000
   * (about 2,000 tokens), and at most a quarter of a known context.
   */
  readonly resultCharacters?: number;
}

/** An agent that another one can hand the conversation over to. It has the same model, conversation and limits. */
export interface AgentHandoff {
  /** Lower-case letters, digits and `_`; not `main`, which is the first agent. The tool is `transfer_to_<name>`. */
  readonly name: string;
  /** When to hand over to it, for the models of the others. */
  readonly description: string;
  /** Replaces the first agent's system message. */
  readonly instructions?: string;
  /** Replace the first agent's tools. */
  readonly tools?: readonly (Tool | ToolServer)[];
  /** Names of agents that it can hand over to; `main` is the first. Default: none. */
  readonly to?: readonly string[];
}

export interface AgentToolSearch {
  /** Name of a pool that serves `embed`. */
  readonly embedder: string;
  /** Number of tools that the model sees at first, and that each further search adds. Default 8. */
  readonly shown?: number;
}

/** Options of `agent`. */
export interface AgentOptions<Data = never> {
  /** Name of a pool that serves `chat`; with tools its server must support tool calling. */
  readonly model: string;
  /** System message. */
  readonly instructions?: string;
  readonly tools?: readonly (Tool | ToolServer)[];
  /**
   * Agents with their own instructions and tools to which the model can hand over the whole conversation, by calling
   * `transfer_to_<name>`. Such calls are in events and in `toolCalls`.
   */
  readonly handoffs?: readonly AgentHandoff[];
  /**
   * Checks of the prompt, of the model's text, and of tool calls: each may stop the agent or the call, change what it
   * has checked, or ask a person. With one on the output, the text is not streamed before it has been checked.
   */
  readonly guardrails?: readonly Guardrail[];
  /** Maximum model calls, including that of the final answer. Default 8: seven rounds of tools. */
  readonly maxTurns?: number;
  readonly budget?: AgentBudget;
  /**
   * What happens at a limit (`maxTurns`, `budget`). `answer`, the default: one last call without tools, in which the
   * model is instructed to answer with what it has. `fail`: the stage fails with `LIMIT_REACHED`.
   */
  readonly onLimit?: 'answer' | 'fail';
  /** Constrains the final answer to a JSON schema; `data` then has its type. Needs a server with structured output. */
  readonly output?: z.ZodType<Data>;
  /** Continues a conversation across runs, by the name in the input's `session`. */
  readonly session?: AgentSession;
  /**
   * Remembers facts about a user, by the name in the input's `user`, across runs and conversations. They are part of
   * the system message; the model adds facts with the tool `remember` and removes them with `forget`.
   */
  readonly memory?: AgentMemory;
  /**
   * How the conversation is kept within the model's context: before a call that would not fit, old results of tools are
   * shortened and old turns replaced by a summary, next to which all calls and the user's words are kept. The model can
   * still read the removed parts of a result.
   */
  readonly context?: AgentContext;
  /**
   * For many tools, those of MCP servers included: the model gets those whose descriptions are nearest to the prompt,
   * and `find_tools` to search for others. Default: it gets all.
   */
  readonly toolSearch?: AgentToolSearch;
  /**
   * Consecutive turns with an invalid tool call after which the agent ends as at a limit: `onLimit` applies, with
   * `INVALID_TOOL_CALL` for `fail`. Default 3. The model gets each error, and each turn counts.
   */
  readonly wrongTurns?: number;
  /** Maximum tokens of each model call. Default 512: a paragraph, or several tool calls. */
  readonly maxTokens?: number;
  /** Sampling temperature. Default 0. */
  readonly temperature?: number;
}

/**
 * A model that calls tools until it can answer. Every model call and every tool call is a separate activity; the tool
 * calls of one turn run in parallel. The stage's policy applies to each model call; each tool has its own.
 *
 * ```ts
 * const answer = stage('answer', agent({ model: 'assistant', instructions: 'Be brief.', tools: [weather] }), {
 *   prompt: input.question,
 * });
 * answer.text;
 * ```
 */
export const agent = <Data = never>(
  options: AgentOptions<Data>,
): StageUse<AgentInput, AgentOutput<Data>> & OfKind<'agent'> => {
  const { model, instructions, output: schema, budget, session, memory, context } = options;
  const { handoffs = [], guardrails = [] } = options;
  // A tool of several of them is one tool.
  const all = new Set([options, ...handoffs].flatMap((each) => each.tools ?? []));
  const offered = [...all].filter((each) => 'plan' in each);
  const tools = [...offered, ...guardrails.map(({ check }) => check)];
  const servers = [...all].filter((each) => 'server' in each);
  const plan: AgentPlan = {
    ...(instructions !== undefined && { instructions }),
    maxTokens: options.maxTokens ?? 512,
    temperature: options.temperature ?? 0,
    tools: tools.map(({ plan }) => plan),
    ...(servers.length > 0 && { servers: servers.map(({ server }) => server) }),
    maxTurns: options.maxTurns ?? 8,
    onLimit: options.onLimit ?? 'answer',
    ...(budget && { budget: budgetOf(budget) }),
    ...(schema && { schema: jsonSchemaOf(schema, 'agent.output') }),
    ...(session && {
      session: {
        ttlMs: durationMs(session.keep ?? '7d', 'agent.session.keep'),
        summarizeOver: session.summarizeOver ?? 3_000,
      },
    }),
    ...(memory && {
      memory: { ttlMs: durationMs(memory.keep ?? '365d', 'agent.memory.keep'), facts: memory.facts ?? FACTS },
    }),
    context: {
      ...(context?.tokens !== undefined && { tokens: context.tokens }),
      resultCharacters: context?.resultCharacters ?? RESULT_CHARACTERS,
    },
    ...(handoffs.length > 0 && {
      team: teamOf({ ...(instructions !== undefined && { instructions }), tools: options.tools ?? [] }, handoffs),
    }),
    ...(guardrails.length > 0 && { guards: guardsOf(guardrails, offered, memory ? memoryNames(offered) : []) }),
    ...(options.toolSearch && {
      toolSearch: { embedder: options.toolSearch.embedder, shown: options.toolSearch.shown ?? SHOWN },
    }),
    wrongTurns: options.wrongTurns ?? WRONG_TURNS,
  };
  return {
    kind: 'agent',
    model,
    with: plan as unknown as JsonObject,
    input: input.extend({ ...(session && OF_SESSION), ...(memory && OF_MEMORY) }) as unknown as z.ZodType<AgentInput>,
    output: output.extend({
      data: schema ?? z.undefined(),
      ...streamsOfText(),
      said: output.shape.said.extend(streamsOfText()),
    }) as unknown as z.ZodType<AgentOutput<Data>>,
    functions: tools.flatMap(({ functions }) => [...functions.values()]),
    definitions: tools.flatMap(({ definitions = [] }) => definitions),
  };
};

/** The streams of a field `text` beside them. */
const streamsOfText = () => ({ sentences: stream('sentences', 'text'), tokens: stream('tokens', 'text') });

const HANDOFF_NAME = /^[a-z][a-z0-9_]{0,40}$/;
const MAIN = 'main';

/** Throws `INVALID_PIPELINE` for names that are malformed, that two agents have, or that no agent has. */
function teamOf(
  main: Pick<AgentHandoff, 'instructions' | 'tools'>,
  handoffs: readonly AgentHandoff[],
): readonly TeamMember[] {
  const names = handoffs.map(({ name }) => name);
  for (const [i, { name, description, to = [] }] of handoffs.entries()) {
    const where = `agent.handoffs[${i}]`;
    if (!HANDOFF_NAME.test(name)) throw invalid(`${where}.name`, 'must be lower-case letters, digits and _');
    if (name === MAIN || names.indexOf(name) !== i)
      throw invalid(`${where}.name`, `"${name}" is the name of another agent`);
    if (typeof description !== 'string' || description.trim() === '')
      throw invalid(`${where}.description`, 'is missing: the model hands over by it');
    const stray = to.find((other) => other !== MAIN && !names.includes(other));
    if (stray !== undefined) throw invalid(`${where}.to`, `no agent is named "${stray}"`);
  }
  const memberOf = (each: Pick<AgentHandoff, 'instructions' | 'tools'>) => ({
    ...(each.instructions !== undefined && { instructions: each.instructions }),
    tools: (each.tools ?? []).flatMap((tool) => ('plan' in tool ? [tool.plan.name] : [])),
    servers: (each.tools ?? []).flatMap((tool) => ('server' in tool ? [tool.server.server] : [])),
  });
  const taken = handoffs.flatMap((each) => memberOf(each).tools).concat(memberOf(main).tools);
  const clash = names.find((name) => taken.includes(`transfer_to_${name}`));
  if (clash !== undefined) throw invalid('agent.tools', `"transfer_to_${clash}" is the name of a handoff`);
  return [
    { name: MAIN, description: 'The agent that began the conversation.', ...memberOf(main), to: names },
    ...handoffs.map((each) => ({
      name: each.name,
      description: each.description,
      ...memberOf(each),
      to: each.to ?? [],
    })),
  ];
}

/** Names of the tools of the memory in an agent with these tools. */
function memoryNames(offered: readonly Tool[]): string[] {
  const tools = offered.map(({ plan }) => plan);
  return MEMORY_TOOLS.map((name) => memoryToolName(name, tools));
}

/** Throws `INVALID_PIPELINE` for names that are taken, and for tools that the agent does not have. */
function guardsOf(
  guardrails: readonly Guardrail[],
  offered: readonly Tool[],
  ownTools: readonly string[],
): readonly GuardPlan[] {
  const names = [...offered.map(({ plan }) => plan.name), ...ownTools];
  for (const [i, { guard, check }] of guardrails.entries()) {
    const where = `agent.guardrails[${i}]`;
    if (guardrails.findIndex((other) => other.guard.name === guard.name) !== i || names.includes(check.plan.name))
      throw invalid(
        `${where}.name`,
        `"${guard.name}" is the name of another guardrail, or "guard_${guard.name}" of a tool`,
      );
    const stray = guard.only?.find((name) => !names.includes(name));
    if (stray !== undefined) throw invalid(`${where}.tools`, `no tool is named "${stray}"`);
  }
  return guardrails.map(({ guard }) => guard);
}

const budgetOf = ({ tokens, time, cost, price }: AgentBudget): BudgetPlan => ({
  ...(tokens !== undefined && { tokens }),
  ...(time !== undefined && { ms: durationMs(time, 'agent.budget.time') }),
  ...(cost !== undefined && { cost }),
  ...(price && { price }),
});

export const agentKind: StageKind = {
  input: input.extend({ ...OF_SESSION, ...OF_MEMORY }),
  output,
  ...TRAITS.agent,
  calls: 'chat',
};
