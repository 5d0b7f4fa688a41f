/* The times of the second simulator, from profiles as they are written: see `placement-oracle.ts`. */

interface Percentiles {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly meanMs?: number;
}

export interface OracleProfile {
  readonly model: string;
  readonly variant?: string;
  readonly deviceKind: string;
  readonly batching: 'dynamic' | 'continuous';
  readonly overheadMs?: number;
  readonly memory?: { readonly weights: number; readonly perToken?: number };
  readonly size?: {
    readonly variable?: string;
    readonly typical?: number;
    readonly in?: string;
    readonly out?: string;
  };
  readonly latency?: readonly (Percentiles & { readonly batch: number; readonly size?: number })[];
  readonly prefill?: readonly (Percentiles & { readonly tokens: number })[];
  readonly decode?: readonly (Percentiles & { readonly batch: number; readonly tokens?: number })[];
  readonly chunkTokens?: number;
}

/** Linear between points; before the first it is constant, after the last in proportion or with the last slope. */
export function between(points: readonly (readonly [number, number])[], x: number): number {
  const last = points.length - 1;
  const [x0, y0] = points[0] as readonly [number, number];
  const [x1, y1] = points[last] as readonly [number, number];
  if (last === 0) return Math.max(y0 * (x > x0 ? x / x0 : 1), 0);
  if (x <= x0) return y0;
  if (x >= x1) {
    const [xb, yb] = points[last - 1] as readonly [number, number];
    return Math.max((y1 * x) / x1, y1 + ((y1 - yb) / (x1 - xb)) * (x - x1));
  }
  const i = points.findIndex(([at]) => at >= x);
  const [a, b] = [points[i - 1] as readonly [number, number], points[i] as readonly [number, number]];
  return a[1] + ((b[1] - a[1]) * (x - a[0])) / (b[0] - a[0]);
}

export const mean = (row: Percentiles): number =>
  row.meanMs ?? (row.p50Ms === row.p99Ms ? row.p50Ms : row.p50Ms * 0.95 + row.p95Ms * 0.05);

/** A time drawn from a row: by its percentiles, linear between them. */
function drawn(row: Percentiles, u: number): number {
  if (row.p50Ms === row.p99Ms) return row.p50Ms;
  const low = Math.max(0.2 * row.p50Ms, row.p50Ms - ((row.p95Ms - row.p50Ms) * 0.5) / 0.45);
  const top = row.p99Ms + (row.p99Ms - row.p95Ms) / 2;
  const knots = [
    [0, low],
    [0.5, row.p50Ms],
    [0.95, row.p95Ms],
    [0.99, row.p99Ms],
    [1, top],
  ] as const;
  const i = knots.findIndex(([p]) => p >= u);
  const [a, b] = [knots[Math.max(0, i - 1)] ?? knots[0], knots[i] ?? knots[4]];
  return b[0] === a[0] ? b[1] : a[1] + ((b[1] - a[1]) * (u - a[0])) / (b[0] - a[0]);
}

/** Time of a batch of this size with members of at most this size. */
export function batchTime(profile: OracleProfile, batch: number, size: number, u: number): number {
  const rows = profile.latency ?? [];
  const batches = [...new Set(rows.map((row) => row.batch))].sort((a, b) => a - b);
  const at = (b: number) => {
    const points = rows
      .filter((row) => row.batch === b)
      .map((row) => [row.size ?? 1, drawn(row, u)] as const)
      .sort((x, y) => x[0] - y[0]);
    return profile.size?.variable === undefined ? (points[0]?.[1] ?? 0) : between(points, size);
  };
  const above = batches.find((b) => b >= batch) ?? batches.at(-1) ?? 1;
  const below = batches.findLast((b) => b <= batch) ?? above;
  return above === below ? at(above) : at(below) + ((at(above) - at(below)) * (batch - below)) / (above - below);
}

/** Time of a decoding step, for rows on a full grid or without contexts. */
export function stepTime(profile: OracleProfile, batch: number, context: number): number {
  const rows = profile.decode ?? [];
  const batches = [...new Set(rows.map((row) => row.batch))].sort((a, b) => a - b);
  const at = (b: number) => {
    const points = rows
      .filter((row) => row.batch === b)
      .map((row) => [row.tokens ?? 0, mean(row)] as const)
      .sort((x, y) => x[0] - y[0]);
    const [first] = points;
    const last = points.at(-1);
    if (!first || !last || points.length === 1) return first?.[1] ?? 0;
    const [p, q] =
      context <= first[0]
        ? [first, points[1] ?? last]
        : context >= last[0]
          ? [points.at(-2) ?? first, last]
          : [points.findLast(([x]) => x <= context) ?? first, points.find(([x]) => x > context) ?? last];
    return Math.max(first[1] / 2, p[1] + ((q[1] - p[1]) * (context - p[0])) / (q[0] - p[0]));
  };
  const above = batches.find((b) => b >= batch) ?? batches.at(-1) ?? 1;
  const below = batches.findLast((b) => b <= batch) ?? above;
  return above === below ? at(above) : at(below) + ((at(above) - at(below)) * (batch - below)) / (above - below);
}
