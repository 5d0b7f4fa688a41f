import type { WaitingCall } from '../../pipelines/run/index.js';
import { sha256 } from './digest.js';

/** A decision requested from a person. */
export interface ApprovalRequest {
  /** What it is about. */
  readonly subject: string;
  readonly call?: WaitingCall;
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

/** Identifies what a decision is about: an agent's call by its arguments, which the subject may abbreviate. */
export const aboutOf = ({ subject, call }: Pick<ApprovalRequest, 'subject' | 'call'>): string =>
  call?.digest ?? sha256(subject);
