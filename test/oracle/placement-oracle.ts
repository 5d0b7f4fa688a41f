/*
 * A second, simple simulator of placements, written from the formulas of docs/reference/placement.md and without code of
 * placement/: it reads the files as written, steps LLM servers iteration by iteration, and shares devices by counting what
 * runs on them. It is slow and has no options. Tests and `bench/placement/public` compare the planner's promises with it.
 */

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

export interface OracleDevice {
  readonly id: string;
  readonly kind: string;
  readonly concurrency?: number;
  readonly sharing?: 'time-sliced' | 'serial' | 'exclusive';
}

export interface OracleStage {
  readonly id: string;
  readonly model: string;
  readonly after?: readonly string[];
}

export interface OraclePool {
  readonly model: string;
  readonly variant: string;
  readonly maxBatch: number;
  readonly replicas: readonly { readonly devices: readonly string[]; readonly cacheTokens?: number | undefined }[];
}

export interface OracleCase {
  readonly stages: readonly OracleStage[];
  readonly pools: readonly OraclePool[];
  readonly profiles: readonly OracleProfile[];
  readonly devices: readonly OracleDevice[];
  readonly timesMs: ArrayLike<number>;
  readonly sizes: Readonly<Record<string, ArrayLike<number>>>;
  readonly seed: number;
}

/** Linear between points; before the first it is constant, after the last in proportion or with the last slope. */
function between(points: readonly (readonly [number, number])[], x: number): number {
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

const mean = (row: Percentiles): number =>
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
function batchTime(profile: OracleProfile, batch: number, size: number, u: number): number {
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
function stepTime(profile: OracleProfile, batch: number, context: number): number {
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

interface Call {
  readonly run: number;
  readonly stage: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly size: number;
  /** Of an LLM: tokens generated so far, and tokens of its prompt not yet processed. */
  done: number;
  unread: number;
  prompt: number;
}

interface Replica {
  readonly pool: number;
  readonly device: number;
  readonly profile: OracleProfile;
  readonly maxBatch: number;
  readonly memory: number;
  /** In progress: a batch, or an iteration of an LLM; `left` in milliseconds of an idle device. */
  busy: boolean;
  left: number;
  since: number;
  batch: Call[];
  running: Call[];
}

/** Latency of each run in milliseconds; infinite: it fits no replica. */
export function judgedBy({ stages, pools, profiles, devices, timesMs, sizes, seed }: OracleCase): Float64Array {
  let state = seed >>> 0 || 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 4_294_967_296;
  };
  const replicas: Replica[] = pools.flatMap((pool, p) =>
    pool.replicas.map(({ devices: on, cacheTokens }): Replica => {
      const device = devices.findIndex(({ id }) => id === on[0]);
      const profile = profiles.find(
        (each) =>
          each.model === pool.model &&
          (each.variant ?? 'default') === pool.variant &&
          each.deviceKind === devices[device]?.kind,
      );
      if (!profile) throw new Error(`no profile of ${pool.model} on ${on[0]}`);
      const memory = cacheTokens ?? Number.POSITIVE_INFINITY;
      return {
        pool: p,
        device,
        profile,
        maxBatch: pool.maxBatch,
        memory,
        busy: false,
        left: 0,
        since: 0,
        batch: [],
        running: [],
      };
    }),
  );
  const queues: Call[][] = pools.map(() => []);
  const poolOf = stages.map(({ model }) => pools.findIndex((pool) => pool.model === model));
  const before = stages.map(({ after = [] }) => after.map((id) => stages.findIndex((stage) => stage.id === id)));
  const behind = stages.map((_, v) => before.flatMap((list, s) => (list.includes(v) ? [s] : [])));
  const count = timesMs.length;
  const open = Array.from({ length: count }, () => stages.length);
  const missing = Array.from({ length: count }, () => before.map((list) => list.length));
  const latency = new Float64Array(count).fill(Number.NaN);
  const value = (column: string | undefined, run: number, otherwise = 1) =>
    column === undefined ? otherwise : (sizes[column]?.[run] ?? otherwise);
  let now = 0;
  let turn = 0;

  const begin = (run: number, v: number) => {
    const p = poolOf[v] ?? 0;
    const like = replicas.find((replica) => replica.pool === p)?.profile;
    const prompt = value(like?.size?.in ?? 'tokens_in', run);
    queues[p]?.push({
      run,
      stage: v,
      tokensIn: prompt,
      tokensOut: value(like?.size?.out ?? 'tokens_out', run),
      size: value(like?.size?.variable, run, like?.size?.typical ?? 1),
      done: 0,
      unread: prompt,
      prompt,
    });
  };
  const finish = (run: number, v: number) => {
    const left = (open[run] ?? 0) - 1;
    open[run] = left;
    if (left === 0) latency[run] = now - (timesMs[run] ?? 0);
    for (const next of behind[v] ?? []) {
      const waits = missing[run];
      if (!waits) continue;
      waits[next] = (waits[next] ?? 0) - 1;
      if (waits[next] === 0) begin(run, next);
    }
  };
  const held = ({ running }: Replica) =>
    running.reduce((sum, { prompt, done, unread }) => sum + prompt + (unread > 0 ? 0 : done), 0);

  const iterate = (replica: Replica) => {
    const { profile } = replica;
    const chunk = profile.chunkTokens === 0 ? Number.POSITIVE_INFINITY : (profile.chunkTokens ?? 2048);
    const decoding = replica.running.filter(({ unread }) => unread === 0);
    // Out of memory: the one admitted last starts over with what it has.
    while (held(replica) + decoding.length > replica.memory && replica.running.length > 1) {
      const last = replica.running.pop() as Call;
      last.prompt = last.unread > 0 ? last.prompt : last.prompt + last.done;
      last.unread = last.prompt;
      queues[replica.pool]?.unshift(last);
      const at = decoding.indexOf(last);
      if (at >= 0) decoding.splice(at, 1);
    }
    let ms = 0;
    let budget = chunk;
    if (decoding.length > 0) {
      const context = decoding.reduce((sum, { prompt, done }) => sum + prompt + done, 0) / decoding.length;
      ms += stepTime(profile, decoding.length, context);
    }
    const points = (profile.prefill ?? []).map((row) => [row.tokens, mean(row)] as const).sort((a, b) => a[0] - b[0]);
    for (const call of replica.running) {
      if (call.unread === 0 || budget <= 0) continue;
      if (chunk === Number.POSITIVE_INFINITY && ms > 0 && decoding.length > 0) ms = 0;
      const part = Math.min(call.unread, budget);
      ms += (between(points, call.prompt) * part) / call.prompt;
      budget -= part;
      call.unread -= part;
      if (call.unread === 0) replica.batch.push(call);
    }
    // Without chunks nobody decodes while a prompt is processed.
    if (!(chunk === Number.POSITIVE_INFINITY && replica.batch.length > 0)) replica.batch.push(...decoding);
    replica.busy = true;
    replica.left = ms;
  };

  const start = () => {
    for (const [p, queue] of queues.entries()) {
      const own = replicas.filter((replica) => replica.pool === p);
      if (own[0]?.profile.batching === 'dynamic') {
        for (const replica of own) {
          if (replica.busy || queue.length === 0) continue;
          replica.batch = queue.splice(0, replica.maxBatch);
          const size = Math.max(...replica.batch.map((call) => call.size));
          replica.left = batchTime(replica.profile, replica.batch.length, size, random());
          replica.busy = true;
          replica.since = turn++;
        }
        continue;
      }
      while (queue.length > 0) {
        const call = queue[0] as Call;
        const able = own.filter(({ memory }) => call.tokensIn + call.tokensOut <= memory);
        if (able.length === 0) {
          queue.shift();
          latency[call.run] = Number.POSITIVE_INFINITY;
          open[call.run] = -1e9;
          continue;
        }
        const [best] = able
          .filter(
            (replica) =>
              replica.running.length === 0 ||
              (replica.running.length < replica.maxBatch && held(replica) + call.prompt <= 0.99 * replica.memory),
          )
          .sort((a, b) => a.running.length - b.running.length);
        if (!best) break;
        queue.shift();
        best.running.push(call);
      }
      for (const replica of own) if (!replica.busy && replica.running.length > 0) iterate(replica);
    }
  };

  let arrived = 0;
  for (;;) {
    start();
    const active = replicas.filter(({ busy }) => busy);
    const on = (device: number) => active.filter((replica) => replica.device === device);
    const rate = (replica: Replica) => {
      const there = on(replica.device);
      const room = devices[replica.device]?.concurrency ?? 1;
      if (devices[replica.device]?.sharing !== 'serial') return Math.min(1, room / there.length);
      return there.sort((a, b) => a.since - b.since).indexOf(replica) < room ? 1 : 0;
    };
    const rates = active.map(rate);
    const arrival = arrived < count ? (timesMs[arrived] as number) : Number.POSITIVE_INFINITY;
    const ends = active.map((replica, i) =>
      (rates[i] ?? 0) > 0 ? now + replica.left / (rates[i] ?? 1) : Number.POSITIVE_INFINITY,
    );
    const next = Math.min(arrival, ...ends);
    if (next === Number.POSITIVE_INFINITY) return latency;
    for (const [i, replica] of active.entries()) replica.left -= (next - now) * (rates[i] ?? 0);
    now = next;
    if (arrival <= next) {
      for (const [v, list] of before.entries()) if (list.length === 0) begin(arrived, v);
      arrived += 1;
      continue;
    }
    for (const [i, replica] of active.entries()) {
      if ((ends[i] ?? 0) > next + 1e-9) continue;
      const calls = replica.batch;
      replica.busy = false;
      replica.batch = [];
      if (replica.profile.batching === 'dynamic') {
        // One after the other: the first goes on before the others are back. Its replica is free after the last.
        replica.busy = true;
        replica.left = Number.POSITIVE_INFINITY;
        for (const call of calls) {
          finish(call.run, call.stage);
          start();
        }
        replica.busy = false;
        continue;
      }
      for (const call of calls) {
        call.done += 1;
        if (call.done < call.tokensOut) continue;
        replica.running.splice(replica.running.indexOf(call), 1);
        finish(call.run, call.stage);
      }
    }
  }
}
