import { z } from 'zod';
import type { OfKind } from '../definition/refused.js';
import { durationMs } from '../duration.js';
import type { JsonObject } from '../json.js';
import { type AgentPlan, type BudgetPlan, MEMORY_TOOLS, memoryToolName } from '../plan/agent.js';
import { stream } from '../stream.js';
import type { Tool } from '../tools/tool.js';
import { guardsOf } from './agent-guards.js';
import { type AgentBudget, type AgentInput, type AgentOptions, type AgentOutput, LIMITS } from './agent-options.js';
import { teamOf } from './agent-team.js';
import { chatMessage } from './chat.js';
import { contentParts } from './content.js';
import { jsonSchemaOf } from './json-schema.js';
import type { StageKind, StageUse } from './kind.js';
import { executedCalls } from './tool-calls.js';
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

/** Names of the tools of the memory in an agent with these tools. */
function memoryNames(offered: readonly Tool[]): string[] {
  const tools = offered.map(({ plan }) => plan);
  return MEMORY_TOOLS.map((name) => memoryToolName(name, tools));
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
