import type { JsonObject } from '../json.js';
import type { WaitingQuestion } from './question.js';

/** A pending decision of a run. */
export interface Wait {
  /** Identifies this wait uniquely across runs; a decision must carry it. */
  readonly nonce: string;
  readonly stage: string;
  /** Position in the run: `chunks[3]/sign-off`, `answer/turn-2/refund:9f86d081884c`. */
  readonly path: string;
  /** What the decision is about. */
  readonly subject: string;
  /** For a tool call of an agent: the call that would be executed. */
  readonly call?: WaitingCall;
  /** For a question, of an `approve` stage with a form or of an MCP server: an approval answers it, with `content`; a rejection declines. */
  readonly question?: WaitingQuestion;
  /** For a tool call of an agent in a session: its name. An approval may have the scope `session`. */
  readonly session?: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** When the run continues without a decision or fails for lack of one; ISO 8601, UTC. */
  readonly until: string;
  /** The decision if none is made by then. */
  readonly otherwise: boolean;
  /**
   * Of its texts only the beginning is there, or the arguments of the call or the schema of the question are left out: the list of a run, and what its delivery
   * sends, have a largest size. A decision is one on the whole.
   */
  readonly shortened?: true;
}

export interface WaitingCall {
  readonly tool: string;
  /** Omitted when long; `digest` still identifies them. */
  readonly arguments?: JsonObject;
  /** Hex sha256 of the canonical JSON of the arguments. */
  readonly digest: string;
}

/** A person's decision, or the default after the timeout. */
export type Decision = {
  readonly approved: boolean;
  /** Name given with the decision, unverified; `person` if none was given; `timeout`. */
  readonly by: string;
  /**
   * Identity authenticated by the gateway: `key:<id>`, or `user:<name>` if a proxy or a token names the user. Absent without
   * authentication, and for `timeout`.
   */
  readonly actor?: string;
  /** Why, in the person's words; the model of an agent is told. */
  readonly reason?: string;
  /** For an approved tool call: its arguments as the person has changed them. */
  readonly arguments?: JsonObject;
  /** For a question: the fields that were filled in. The model of an agent is not told. */
  readonly content?: JsonObject;
  /** For an approved tool call: it covers every later call of the tool by this agent in the run, or in all runs of the session. */
  readonly scope?: 'run' | 'session';
  /** For a call that an approval with the scope `session` covers: when that was given; ISO 8601, UTC. */
  readonly grantedAt?: string;
};

/** A decision with the position of its wait in the run. */
export type StageDecision = Decision & {
  readonly path: string;
  /**
   * Hex sha256 of what was decided: the arguments of an agent’s call, the question of a server, else the subject. Absent in a row that is
   * `shortened`: what was changed or filled in is left out.
   */
  readonly about?: string;
  /** For a tool call of an agent: the tool. */
  readonly tool?: string;
  /** For an approval with the scope `run`: hex sha256 of what carries the tool out, since another tool may have its name. */
  readonly carriedBy?: string;
};

/** An approval that covers later calls of a tool in a session. */
export interface SessionGrant {
  /** Name given with the decision. */
  readonly by: string;
  /** Identity authenticated by the gateway. */
  readonly actor?: string;
  /** When it was given; ISO 8601, UTC. */
  readonly at: string;
}

/** A person's decision, as sent to the run. */
export interface GivenDecision {
  /** Nonce of the wait that the person saw. */
  readonly nonce: string;
  readonly approved: boolean;
  readonly by?: string;
  /** Identity authenticated by the gateway. */
  readonly actor?: string;
  readonly reason?: string;
  /** For a tool call that is approved: arguments in place of the model's. */
  readonly arguments?: JsonObject;
  /** For a question that is approved: the fields of its form. */
  readonly content?: JsonObject;
  /** `run`: covers later calls of the tool in this run too; `session`: those in all runs of the session. Default: this call only. */
  readonly scope?: 'call' | 'run' | 'session';
  /** If given, the path of the wait: a nonce of another wait decides nothing. */
  readonly path?: string;
}

/**
 * Temporal update that decides a wait, with a `GivenDecision`. It is rejected, without a trace in the history, if no
 * wait with its nonce is open.
 */
export const DECIDE_UPDATE = 'decide';

/** Query that returns the run's pending decisions, as `Wait[]`. */
export const WAITING_QUERY = 'waiting';
