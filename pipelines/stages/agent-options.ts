import type { z } from 'zod';
import type { Duration } from '../duration.js';
import type { Stream } from '../stream.js';
import type { ToolServer } from '../tools/mcp-tools.js';
import type { Guardrail, Tool } from '../tools/tool.js';
import type { ChatMessage } from './chat.js';
import type { ContentPart } from './content.js';
import type { AgentToolCall } from './tool-calls.js';

/** What may end an agent before its model answers by itself. */
export const LIMITS = ['turns', 'tokens', 'time', 'cost', 'wrong-calls'] as const;

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
