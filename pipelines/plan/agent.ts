import type { JsonObject } from '../json.js';
import type { Alternative, Plan, StagePolicy } from './plan.js';
import { freeName } from './tool-names.js';

/**
 * The `with` of an `agent` stage: everything that the interpreter needs to alternate between the model and the tools.
 * The stage's policy applies to each model call; each tool has its own.
 */
export interface AgentPlan {
  /** System message. */
  readonly instructions?: string;
  /** Limit of each model call. */
  readonly maxTokens: number;
  readonly temperature: number;
  readonly tools: readonly ToolPlan[];
  /** Servers whose tools are offered too; they are listed when the agent starts. */
  readonly servers?: readonly ToolServerPlan[];
  /** Maximum model calls, including that of the final answer. */
  readonly maxTurns: number;
  readonly budget?: BudgetPlan;
  /** At a limit: one last call without tools, or a failure with `LIMIT_REACHED`. */
  readonly onLimit: 'answer' | 'fail';
  /** JSON Schema of the final answer's `data`. */
  readonly schema?: JsonObject;
  /** Continues a conversation across runs, where the input names a session. */
  readonly session?: SessionPlan;
  /** Remembers facts about a user across runs, where the input names one. */
  readonly memory?: MemoryPlan;
  /** How the conversation is kept within the model's context. Absent: it is not. */
  readonly context?: ContextPlan;
  /** Agents that hand the conversation over to each other, the first one at the beginning. Absent: there is one. */
  readonly team?: readonly TeamMember[];
  /** The model sees the tools that fit the prompt. Absent: all. */
  readonly toolSearch?: ToolSearchPlan;
  /** Checks of what the agent takes in, writes and does, in their order. Absent: none. */
  readonly guards?: readonly GuardPlan[];
  /** Consecutive turns with an invalid tool call after which the agent ends as at a limit. Absent: 3. */
  readonly wrongTurns?: number;
}

/** One of the agents of a stage. They share its model, limits and conversation. */
export interface TeamMember {
  readonly name: string;
  /** When to hand over to it, for the models of the others. */
  readonly description: string;
  readonly instructions?: string;
  /** Names of its tools, and of the servers whose tools it has. */
  readonly tools: readonly string[];
  readonly servers: readonly string[];
  /** Names of those that it can hand over to. */
  readonly to: readonly string[];
}

/** A guardrail. */
export interface GuardPlan {
  readonly name: string;
  /** What it checks: the prompt, the text of each turn, or each call of a tool. */
  readonly on: 'input' | 'output' | 'tool';
  /** Name of the entry in `tools` that checks; no model sees it. Its result is the verdict. */
  readonly tool: string;
  /** Names of the tools whose calls are checked. Absent: all. */
  readonly only?: readonly string[];
  /** How a person is asked. */
  readonly ask: { readonly timeoutMs: number; readonly otherwise: boolean };
}

export interface ToolSearchPlan {
  /** An `embed` pool. */
  readonly embedder: string;
  /** Number of tools that one search finds. */
  readonly shown: number;
}

export interface ContextPlan {
  /** The model's context, in tokens. Absent: as its pool states it; otherwise as its server states it when it overflows. */
  readonly tokens?: number;
  /** Maximum characters of a tool's result in the conversation; the whole is kept apart and can be read in parts. */
  readonly resultCharacters: number;
}

export interface SessionPlan {
  /** How long a session is kept after its last run, in milliseconds. */
  readonly ttlMs: number;
  /** When a run's last model call has more tokens, a summary replaces the conversation before that run. */
  readonly summarizeOver: number;
}

/** More facts would crowd out the conversation. */
export const MOST_FACTS = 100;

export interface MemoryPlan {
  /** How long facts are kept after the last one was added, in milliseconds. */
  readonly ttlMs: number;
  /** Most facts of a user. */
  readonly facts: number;
}

/** Checked before each model call but the first; once it is exceeded, one more call is made, for the answer. */
export interface BudgetPlan {
  /** Input and output tokens of all model calls together. */
  readonly tokens?: number;
  /** Time in model calls and tools, without waits for a person. */
  readonly ms?: number;
  /** In the currency of `price`. */
  readonly cost?: number;
  readonly price?: PricePlan;
}

/** Per million tokens. */
export interface PricePlan {
  readonly input: number;
  readonly output: number;
}

/** A tool: offered to the model under its name, executed as a call of a stage kind or as a separate run. */
export type ToolPlan = StageTool | PipelineTool;

interface Offered {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly schema: JsonObject;
  readonly policy: StagePolicy;
  /** A person approves each call. */
  readonly approval?: { readonly timeoutMs: number; readonly otherwise: boolean };
  /** Effect of a call that failed for good: its error is given to the model, or the agent fails. */
  readonly onFailure: 'tell' | 'fail';
}

export interface StageTool extends Offered, Alternative {
  readonly by: 'stage';
  /** `http` only: where each argument is sent. */
  readonly places?: ParameterLocations;
  /** Output field that is the result; absent: the whole output. */
  readonly result?: string;
}

/** Names of the arguments in the path and the query; `body`: all others, or the one named. */
export interface ParameterLocations {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly body?: { readonly rest: true } | { readonly of: string };
}

export interface PipelineTool extends Offered {
  readonly by: 'pipeline';
  readonly plan: Plan;
}

/** The tools of an MCP server, under one policy. */
export interface ToolServerPlan extends Pick<Offered, 'policy' | 'approval' | 'onFailure'> {
  /** Name of the server in the worker's file of MCP servers. */
  readonly server: string;
  /** Names of the offered tools; absent: all. */
  readonly only?: readonly string[];
  /** Prefix of the tools' names. */
  readonly prefix?: string;
  /** The server may ask a person during a call. Absent: it is told that nobody can be asked. */
  readonly elicitation?: { readonly timeoutMs: number };
}

/** A message of an agent's conversation, as sent to the model. */
export interface AgentMessage {
  readonly role: 'user' | 'assistant' | 'system' | 'tool';
  readonly content: string;
  /** What it says after its text: `ContentPart` of `pipelines/stages/content.ts`. */
  readonly parts?: readonly JsonObject[];
  /** Assistant messages: the requested calls. */
  readonly toolCalls?: readonly { readonly id: string; readonly name: string; readonly arguments: JsonObject }[];
  /** Tool messages: id of the call that this answers. */
  readonly toolCallId?: string;
  /** Assistant messages: the reasoning before it, for pools whose model wants it back. */
  readonly reasoning?: string;
  /** Who says it, of several who have the same role. */
  readonly name?: string;
}

/** The agent options of a stage or of one of its alternatives. */
export const agentOf = ({ with: options }: Pick<Alternative, 'with'>): AgentPlan => options as unknown as AgentPlan;

/** Placement key of a tool's row, or prefix of its pipeline's rows. `placed`: key of the agent's row. */
export const toolRow = (placed: string, tool: string): string => `${placed}/${tool}`;

/** Placement key of the session's row. */
export const sessionRow = (placed: string): string => `${placed}/session:`;

/** Names of the tools by which a model changes what it remembers of a user, unless a tool of the agent has the name. */
export const MEMORY_TOOLS: readonly string[] = ['remember', 'forget'];

/** The name of one of them in an agent that has these tools. */
export const memoryToolName = (name: string, tools: readonly Pick<Offered, 'name'>[]): string =>
  freeName([name, `${name}_fact`], tools);

/** Placement key of what is remembered of a user. */
export const memoryRow = (placed: string): string => `${placed}/memory:`;

/** Placement key of the calls that keep long results and read parts of them. */
export const resultRow = (placed: string): string => `${placed}/result:`;

/** Placement key of the searches among the tools. */
export const searchRow = (placed: string): string => `${placed}/search:`;

/** Placement key of a server's tools. Tool names contain no colon. */
export const serverRow = (placed: string, server: string): string => `${placed}/mcp:${server}`;
