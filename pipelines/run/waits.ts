import type { JsonObject } from '../json.js';

/** What a run waits for a person to decide. */
export interface Wait {
  /** Names this wait and no other, of this run or of another: a decision has to carry it. */
  readonly nonce: string;
  readonly stage: string;
  /** Where it stands in the run: `chunks[3]/sign-off`, `answer/turn-2/refund:9f86d081884c`. */
  readonly path: string;
  /** What it is about, in words. */
  readonly subject: string;
  /** Of a tool that an agent calls: what would be carried out. */
  readonly call?: WaitingCall;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** When the run goes on without a decision, or ends for want of one; ISO 8601, UTC. */
  readonly until: string;
  /** The decision where nobody decides until then. */
  readonly otherwise: boolean;
}

export interface WaitingCall {
  readonly tool: string;
  /** Left out where they are long: `digest` still tells them from others. */
  readonly arguments?: JsonObject;
  /** Hex sha256 of the canonical JSON of the arguments. */
  readonly digest: string;
}

/** What a person has decided, or nobody in time. */
export type Decision = {
  readonly approved: boolean;
  /** The name that came with the decision, which nobody has checked; `person` where none came; `timeout`. */
  readonly by: string;
  /**
   * Whom the gateway has authenticated: `key:<id>`, or `user:<name>` where a proxy names its users. Absent where nobody had
   * to show anything, and of `timeout`.
   */
  readonly actor?: string;
};

/** The same, with where the wait stood in the run. */
export type StageDecision = Decision & {
  readonly path: string;
  /** Hex sha256 of what was decided on: of an agent’s call its arguments, else the words. */
  readonly about?: string;
};

/** A person's decision, as it is sent to the run. */
export interface GivenDecision {
  /** Of the wait that the person has seen. */
  readonly nonce: string;
  readonly approved: boolean;
  readonly by?: string;
  /** As the gateway has authenticated it. */
  readonly actor?: string;
  /** Where given, the wait's path: a nonce that belongs to another wait decides nothing. */
  readonly path?: string;
}

/**
 * The Temporal update that decides what a run waits for, with a `GivenDecision`. It is refused, and leaves no trace in the
 * history, where no wait with its nonce is open.
 */
export const DECIDE_UPDATE = 'decide';

/** Query that returns what a run waits for a person to decide, as `Wait[]`. */
export const WAITING_QUERY = 'waiting';
