import type { WaitingCall } from '../../pipelines/run/index.js';
import { sha256 } from './digest.js';

/** What a person is to decide on. */
export interface Asked {
  /** What it is about, in words. */
  readonly subject: string;
  readonly call?: WaitingCall;
  readonly stage: string;
  readonly path: string;
  readonly timeoutMs: number;
  /** The decision when nobody decides within `timeoutMs`. */
  readonly otherwise: boolean;
  /** Less may be left of the run's deadline: then nobody's decision is nobody's default, but `STAGE_TIMEOUT`. */
  readonly limitMs: number;
  /** Resolves when what is asked for will not be done in any case. */
  readonly pointless?: Promise<void>;
}

/** What a decision is about, to be told from all else: an agent's call by its arguments, which its words may not have in full. */
export const aboutOf = ({ subject, call }: Pick<Asked, 'subject' | 'call'>): string => call?.digest ?? sha256(subject);
