import type { PricePlan } from '../plan/agent.js';

/** Where a stage runs; decided before the run starts and stored in the run with the plan. */
export interface StagePlacement {
  readonly connector: string;
  /** Device label, e.g. `cpu0`, `gpu1`; for several endpoints the labels joined by `,`. */
  readonly device: string;
  /** Temporal task queue. */
  readonly queue: string;
  /**
   * Queues of other devices that can serve it, in order. The next one is used when no worker has started the stage
   * within `patienceMs`, e.g. because its device is gone; the last one is limited by the policy alone.
   */
  readonly elsewhere?: readonly { readonly queue: string; readonly device: string }[];
  /** Maximum wait on each queue but the last, in milliseconds. */
  readonly patienceMs?: number;
  /** Price per million tokens, if the pool states one. */
  readonly price?: PricePlan;
  /** Models that the stages after it call, where workers load them on demand: they may begin while it runs. */
  readonly next?: readonly string[];
  /** For an agent's model: its context in tokens, if the pool states it. */
  readonly contextTokens?: number;
}

/**
 * By stage id. The n-th alternative of a stage (its fallbacks, then its degrade rungs, from 1) has the key
 * `<stage>~<n>`, a stage of a child run `<step>/<stage>`.
 */
export type Placement = Readonly<Record<string, StagePlacement>>;
