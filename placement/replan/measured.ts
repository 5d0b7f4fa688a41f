/** Measurements of the active placement, in the units of its predictions. */
export interface Measured {
  /** Length of the window, in milliseconds. */
  readonly windowMs: number;
  /** Runs that began in the window, by pipeline. */
  readonly started: Readonly<Record<string, number>>;
  /** Runs that succeeded in it, and those that ended otherwise, except by a cancellation. */
  readonly completed: number;
  readonly failed: number;
  /** Of whole runs, from start to end, and their number. */
  readonly runs: { readonly count: number; readonly p50Ms: number; readonly p95Ms: number };
  /** By objective whose times are known: how many of the runs that were looked at were late. */
  readonly budgets: readonly MeasuredBudget[];
  /** Mean of wait and service together, by `<pipeline>/<stage>`. */
  readonly stages: Readonly<Record<string, { readonly calls: number; readonly meanMs: number }>>;
  /** Time of a call from its start at the server, by model; only of servers that report it. */
  readonly services: Readonly<Record<string, { readonly calls: number; readonly meanMs: number }>>;
  /** Devices of the placement that serve nothing, and the evidence. */
  readonly lost: readonly LostDevice[];
}

export interface MeasuredBudget {
  /** The objective: `p99`, `p95`, or a figure such as `voice/answer latency p99`. */
  readonly of: string;
  /** Of a figure of a stage: `<pipeline>/<stage>`. */
  readonly stage?: string | undefined;
  /** Share of the runs that must take at most `ms`. */
  readonly share: number;
  readonly ms: number;
  /** Runs that were looked at, or calls of the stage, and those of them that took longer. */
  readonly count: number;
  readonly late: number;
}

export interface LostDevice {
  readonly device: string;
  readonly because: string;
}

/** Most runs of a window whose times are read, and most of those whose stages are: budgets are measured by these. */
export const LOOKED_AT = { runs: 1_000, stages: 100 } as const;

/** Started runs per second, all pipelines together. */
export const measuredRate = ({ started, windowMs }: Measured): number =>
  windowMs > 0 ? (Object.values(started).reduce((sum, count) => sum + count, 0) * 1000) / windowMs : 0;
