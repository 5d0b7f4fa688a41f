import { canonicalJson, type Json } from '../../pipelines/json.js';
import type { WaitingCall, WaitingQuestion } from '../../pipelines/run/index.js';
import { sha256 } from './digest.js';

/** A decision requested from a person. */
export interface ApprovalRequest {
  /** What it is about. */
  readonly subject: string;
  readonly call?: WaitingCall;
  /** What a server asks: the decision is its answer. */
  readonly question?: WaitingQuestion;
  /** Hex sha256 of what carries the call's tool out. */
  readonly carriedBy?: string;
  /** Name of the session in which the call is made. */
  readonly session?: string;
  readonly stage: string;
  readonly path: string;
  readonly timeoutMs: number;
  /** The decision if none is made within `timeoutMs`. */
  readonly otherwise: boolean;
  /** Time left of the run's deadline. If it ends first, the wait fails with `STAGE_TIMEOUT` instead of the default. */
  readonly limitMs: number;
  /** Resolves when the decision no longer matters. */
  readonly pointless?: Promise<void>;
}

/** Identifies what a decision is about: an agent's call by its arguments, which the subject may abbreviate, a question by its form. */
export const aboutOf = ({ subject, call, question }: Pick<ApprovalRequest, 'subject' | 'call' | 'question'>): string =>
  call?.digest ?? sha256(question === undefined ? subject : canonicalJson(question as unknown as Json));
