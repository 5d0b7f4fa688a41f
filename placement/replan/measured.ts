/** What was seen of a placement in force, in the units of its predictions. */
export interface Measured {
  /** How long was looked back, in milliseconds. */
  readonly windowMs: number;
  /** Runs that began in the window, by pipeline. */
  readonly started: Readonly<Record<string, number>>;
  /** Runs that ended well in it, and the others that ended. */
  readonly completed: number;
  readonly failed: number;
  /** Of whole runs, from start to end, over so many of them. */
  readonly runs: { readonly count: number; readonly p50Ms: number; readonly p95Ms: number };
  /** Mean of wait and service together, by `<pipeline>/<stage>`. */
  readonly stages: Readonly<Record<string, { readonly calls: number; readonly meanMs: number }>>;
  /** What a call takes once its server has begun, by model; only of servers that say so. */
  readonly services: Readonly<Record<string, { readonly calls: number; readonly meanMs: number }>>;
  /** Devices of the placement that serve nothing, and how that was seen. */
  readonly lost: readonly LostDevice[];
}

export interface LostDevice {
  readonly device: string;
  readonly because: string;
}

/** Runs a second that began, all pipelines together. */
export const measuredRate = ({ started, windowMs }: Measured): number =>
  windowMs > 0 ? (Object.values(started).reduce((sum, count) => sum + count, 0) * 1000) / windowMs : 0;
