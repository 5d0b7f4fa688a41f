import type { JsonObject } from '../json.js';
import type { Alternative, Plan, StagePolicy } from './plan.js';

/**
 * What an `agent` stage holds in its `with`: everything that the interpreter needs to turn between the model and the tools.
 * The stage's policy is that of each model call; every tool has its own.
 */
export interface AgentPlan {
  /** System message. */
  readonly instructions?: string;
  /** Of each model call. */
  readonly maxTokens: number;
  readonly temperature: number;
  readonly tools: readonly ToolPlan[];
  /** Servers whose tools are on offer too: which they are is asked when the agent begins. */
  readonly servers?: readonly ToolServerPlan[];
  /** Most model calls, that of the final answer included. */
  readonly maxTurns: number;
  readonly budget?: BudgetPlan;
  /** At a limit: one last call without tools, or a failure with `LIMIT_REACHED`. */
  readonly onLimit: 'answer' | 'fail';
  /** JSON Schema of the final answer's `data`. */
  readonly schema?: JsonObject;
  /** The conversation goes on from run to run, where the input names a session. */
  readonly session?: SessionPlan;
}

export interface SessionPlan {
  /** How long a session is kept after its last run, in milliseconds. */
  readonly ttlMs: number;
  /** Tokens of a run's last model call above which what came before the run becomes a summary. */
  readonly summarizeOver: number;
}

/** Looked at before each model call but the first: the call that goes over it is the last but one. */
export interface BudgetPlan {
  /** Input and output tokens of all model calls together. */
  readonly tokens?: number;
  /** Time in model calls and tools; the wait for a person is not part of it. */
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

/** A tool: on offer to the model under its name, carried out as a call of a stage kind or as a run of its own. */
export type ToolPlan = StageTool | PipelineTool;

interface Offered {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly schema: JsonObject;
  readonly policy: StagePolicy;
  /** A person decides before each call. */
  readonly approval?: { readonly timeoutMs: number; readonly otherwise: boolean };
  /** What a call does that has failed for good: the model is told, or the agent fails. */
  readonly onFailure: 'tell' | 'fail';
}

export interface StageTool extends Offered, Alternative {
  readonly by: 'stage';
  /** Where arguments go that are not the call's input as they are: of `http`. */
  readonly places?: ParameterLocations;
  /** Field of the call's output that is the result; absent: all of it. */
  readonly result?: string;
}

/** Names of the arguments that stand in the path and in the query; `body`: the rest of them, or the one of that name. */
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
  /** Its name in the worker's file of MCP servers. */
  readonly server: string;
  /** Names of the tools that are on offer; absent: all. */
  readonly only?: readonly string[];
  /** Stands before the tools' names. */
  readonly prefix?: string;
}

/** What the model is told with: one message of an agent's conversation. */
export interface AgentMessage {
  readonly role: 'user' | 'assistant' | 'system' | 'tool';
  readonly content: string;
  /** Of the assistant: the calls that it asked for. */
  readonly toolCalls?: readonly { readonly id: string; readonly name: string; readonly arguments: JsonObject }[];
  /** Of a tool: the call that it answers. */
  readonly toolCallId?: string;
}

/** The agent's options, of a stage or of one of its alternatives. */
export const agentOf = ({ with: options }: Pick<Alternative, 'with'>): AgentPlan => options as unknown as AgentPlan;

/** Key of a tool's row in the placement, or of the rows of its pipeline. `placed`: the agent's own row. */
export const toolRow = (placed: string, tool: string): string => `${placed}/${tool}`;

/** Key of the row of the session. */
export const sessionRow = (placed: string): string => `${placed}/session:`;

/** Key of the row of a server's tools. No tool's name has a colon. */
export const serverRow = (placed: string, server: string): string => `${placed}/mcp:${server}`;
