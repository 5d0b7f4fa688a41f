import type { CachedBy, CacheOutcome, TokenUsage } from './stage-outcome.js';
import type { StageDecision } from './waits.js';

/** A tool call of an agent, as its row shows it. */
export type MadeCall = {
  readonly turn: number;
  readonly name: string;
  /** As in the agent's output: `done`, `failed`, `refused` or `wrong`. */
  readonly end: string;
  /** Why it is not `done`. */
  readonly code?: string;
};

/** A row of a run's stage table. */
export interface StageRecord {
  readonly stage: string;
  readonly kind: string;
  readonly connector: string;
  readonly model: string;
  readonly device: string;
  /**
   * `cancelled`: it was running when another stage's failure, a race or the deadline ended it. `skipped`: its branch
   * was not taken, its output was not requested, or there was no time for it.
   */
  readonly status: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'skipped';
  /** How often it has succeeded and started, if it has started more than once. */
  readonly count?: { readonly done: number; readonly started: number };
  readonly endpoint?: string;
  readonly attempt?: number;
  readonly cache?: CacheOutcome;
  readonly cachedBy?: CachedBy;
  readonly queueMs?: number;
  readonly runMs?: number;
  readonly conversions?: readonly string[];
  readonly hedged?: true;
  /** Some of its calls were not made: their results come from the record of the run that this one resumes. */
  readonly resumed?: true;
  /**
   * Tokens of all successful calls as reported by servers, with their cost: including those of the resumed run, of
   * child runs and of an agent's tools.
   */
  readonly usage?: TokenUsage;
  /**
   * Current activity of an agent: its turn, the tools it calls, the person it waits for; or the server that is awaited.
   */
  readonly doing?: string;
  /** Calls that an agent has made, the latest last and 50 at most: also of one that failed. */
  readonly calls?: readonly MadeCall[];
  /** Number of calls that are done and not among these any more, by tool. */
  readonly earlierCalls?: Readonly<Record<string, number>>;
  /** Why an alternative served it: the error code of the candidate before it, or `degraded`. */
  readonly instead?: string;
  /** Decisions on its waits, the latest last; for an agent, on its tool calls. */
  readonly decisions?: readonly StageDecision[];
  /** It has had more decisions or calls, or decisions with more in them: the table has a largest size. */
  readonly shortened?: true;
  readonly error?: { readonly code: string; readonly message: string };
}
