/*
 * A second, simple simulator of placements, written from the formulas of docs/reference/placement.md and without code of
 * placement/: it reads the files as written, steps LLM servers iteration by iteration, and shares devices by counting what
 * runs on them. It is slow and has no options. Tests and `bench/placement/public` compare the planner's promises with it.
 */
import { tokensInCache } from './cached-tokens.js';
import { batchTime, between, mean, type OracleProfile, stepTime } from './profile-times.js';

export type { OracleProfile };

export interface OracleDevice {
  readonly id: string;
  readonly kind: string;
  readonly concurrency?: number;
  readonly slowdown?: number;
  readonly sharing?: 'time-sliced' | 'serial' | 'exclusive';
}

export interface OracleStage {
  readonly id: string;
  readonly model: string;
  readonly after?: readonly string[];
  /** Calls of a run, on average, or the column of the load with their number. */
  readonly calls?: number | string;
}

export interface OraclePool {
  readonly model: string;
  readonly variant: string;
  readonly maxBatch: number;
  /** How long a batch that is not full waits after its first call came. */
  readonly maxQueueDelayMs?: number;
  readonly replicas: readonly OracleReplica[];
  /** Its servers cache prefixes, and calls come to them by what they have, or not. */
  readonly routing?: 'aware' | 'unaware';
  /** It is served apart: these replicas process its prompts, and `tokenBytes` move for each token of one. */
  readonly prompts?: {
    readonly replicas: readonly OracleReplica[];
    readonly maxBatch: number;
    readonly tokenBytes: number;
  };
}

interface OracleReplica {
  readonly devices: readonly string[];
  readonly cacheTokens?: number | undefined;
}

export interface OracleCase {
  readonly stages: readonly OracleStage[];
  readonly pools: readonly OraclePool[];
  readonly profiles: readonly OracleProfile[];
  readonly devices: readonly OracleDevice[];
  readonly timesMs: ArrayLike<number>;
  readonly sizes: Readonly<Record<string, ArrayLike<number>>>;
  readonly seed: number;
  /** Between any two devices. */
  readonly link?: { readonly latencyMs: number; readonly bytesPerMs: number };
}

interface Call {
  readonly run: number;
  readonly stage: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly size: number;
  /** When it came to its queue. */
  readonly since: number;
  /** Of an LLM: tokens generated so far, and tokens of its prompt not yet processed. */
  done: number;
  unread: number;
  prompt: number;
  /** Tokens of the prompt that the prefix cache of its replica has. */
  cached: number;
  /** The replica that has the cache of its prompt for another one. */
  sender?: Replica | undefined;
}

interface Replica {
  readonly pool: number;
  readonly device: number;
  /** All that it spans, that one first. */
  readonly spans: readonly number[];
  readonly profile: OracleProfile;
  readonly maxBatch: number;
  readonly memory: number;
  /** In progress: a batch, or an iteration of an LLM; `left` in milliseconds of an idle device. */
  busy: boolean;
  left: number;
  since: number;
  batch: Call[];
  running: Call[];
  /** Of a model served apart: it processes prompts, and keeps them until they are pulled; or it has admitted these, on their way. */
  readonly reads: boolean;
  kept: Call[];
  coming: Call[];
}

/** Latency of each run in milliseconds; infinite: it fits no replica. */
export function judgedBy({ stages, pools, profiles, devices, timesMs, sizes, seed, link }: OracleCase): Float64Array {
  let state = seed >>> 0 || 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 4_294_967_296;
  };
  const replicas: Replica[] = pools.flatMap((pool, p) =>
    [
      ...pool.replicas.map((each) => ({ ...each, reads: false, maxBatch: pool.maxBatch })),
      ...(pool.prompts?.replicas ?? []).map((each) => ({
        ...each,
        reads: true,
        maxBatch: pool.prompts?.maxBatch ?? 1,
      })),
    ].map(({ devices: on, cacheTokens, reads, maxBatch }): Replica => {
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
        spans: on.map((id) => devices.findIndex((each) => each.id === id)),
        profile,
        maxBatch,
        memory,
        busy: false,
        left: 0,
        since: 0,
        batch: [],
        running: [],
        reads,
        kept: [],
        coming: [],
      };
    }),
  );
  const queues: Call[][] = pools.map(() => []);
  // Of pools served apart: those whose prompts have been processed; what is on its way; and when each device is free for it.
  const ready: Call[][] = pools.map(() => []);
  const transfers: { readonly at: number; readonly call: Call; readonly to: Replica }[] = [];
  const freeAt = devices.map(() => 0);
  const poolOf = stages.map(({ model }) => pools.findIndex((pool) => pool.model === model));
  const before = stages.map(({ after = [] }) => after.map((id) => stages.findIndex((stage) => stage.id === id)));
  const behind = stages.map((_, v) => before.flatMap((list, s) => (list.includes(v) ? [s] : [])));
  const runs = timesMs.length;
  const open = Array.from({ length: runs }, () => stages.length);
  const missing = Array.from({ length: runs }, () => before.map((list) => list.length));
  const callsLeft = Array.from({ length: runs }, () => before.map(() => 0));
  const latency = new Float64Array(runs).fill(Number.NaN);
  const value = (column: string | undefined, run: number, otherwise = 1) =>
    column === undefined ? otherwise : (sizes[column]?.[run] ?? otherwise);
  let now = 0;
  let turn = 0;

  /** Calls of a stage in a run: whole numbers that are on average what is stated. */
  const callsOf = (run: number, { calls = 1 }: OracleStage) => {
    const stated = typeof calls === 'number' ? calls : value(calls, run);
    return Math.floor(stated + (Number.isInteger(stated) ? 0 : random()));
  };
  const begin = (run: number, v: number) => {
    const p = poolOf[v] ?? 0;
    const pool = pools[p];
    const like = replicas.find((replica) => replica.pool === p)?.profile;
    const prompt = value(like?.size?.in ?? 'tokens_in', run);
    const calls = callsOf(run, stages[v] as OracleStage);
    if (callsLeft[run]) callsLeft[run][v] = calls;
    if (calls === 0) end(run, v);
    for (let i = 0; i < calls; i += 1) {
      const count = (pool?.prompts ?? pool)?.replicas.length ?? 1;
      const known = pool?.routing ? tokensInCache(sizes, pool.routing, count, run, random) : 0;
      const cached = Math.max(0, Math.min(known, prompt - 1));
      queues[p]?.push({
        run,
        stage: v,
        tokensIn: prompt,
        tokensOut: value(like?.size?.out ?? 'tokens_out', run),
        size: value(like?.size?.variable, run, like?.size?.typical ?? 1),
        since: now,
        done: 0,
        unread: prompt - cached,
        prompt,
        cached,
      });
      // The first call may start before the others are there.
      if (i < calls - 1) start();
    }
  };
  const finish = (run: number, v: number) => {
    const own = callsLeft[run];
    if (!own) return;
    own[v] = (own[v] ?? 0) - 1;
    if (own[v] === 0) end(run, v);
  };
  const end = (run: number, v: number) => {
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
  const held = ({ running, kept, coming }: Replica) =>
    running.reduce((sum, { prompt, done, unread }) => sum + prompt + (unread > 0 ? 0 : done), 0) +
    [...kept, ...coming].reduce((sum, { prompt }) => sum + prompt, 0);
  const count = ({ running, coming }: Replica) => running.length + coming.length;
  const pointsOf = (profile: OracleProfile) =>
    (profile.prefill ?? []).map((row) => [row.tokens, mean(row)] as const).sort((a, b) => a[0] - b[0]);
  /** The time of a prompt without what is cached: as long as what is left alone, and as what it adds to the cached part. */
  const promptTime = (points: readonly (readonly [number, number])[], { prompt, cached }: Call) =>
    cached === 0
      ? between(points, prompt)
      : Math.max(between(points, prompt - cached), between(points, prompt) - between(points, cached));

  /** An idle replica for prompts takes those of a step. */
  const read = (replica: Replica, queue: Call[]) => {
    const { profile, maxBatch } = replica;
    const budget = profile.chunkTokens ?? 2048;
    let tokens = 0;
    for (let call = queue[0]; call && replica.batch.length < maxBatch; call = queue[0]) {
      if (held(replica) + call.prompt > replica.memory) break;
      if (tokens > 0 && tokens + call.unread > budget) break;
      queue.shift();
      tokens += call.unread;
      replica.left += promptTime(pointsOf(profile), call);
      replica.batch.push(call);
      replica.kept.push(call);
    }
    replica.busy = replica.batch.length > 0;
  };
  /** Begins to move the cache of a call that a replica has admitted. */
  const pull = (call: Call, sender: Replica, to: Replica) => {
    const bytes = call.prompt * (pools[to.pool]?.prompts?.tokenBytes ?? 0);
    const from = Math.max(now, freeAt[sender.device] ?? 0, freeAt[to.device] ?? 0);
    const at = from + (link ? link.latencyMs + bytes / link.bytesPerMs : 0);
    freeAt[sender.device] = at;
    freeAt[to.device] = at;
    to.coming.push(call);
    transfers.push({ at, call, to });
  };

  const iterate = (replica: Replica) => {
    const { profile } = replica;
    const chunk = profile.chunkTokens === 0 ? Number.POSITIVE_INFINITY : (profile.chunkTokens ?? 2048);
    const decoding = replica.running.filter(({ unread }) => unread === 0);
    // Out of memory: the one admitted last starts over with what it has.
    while (held(replica) + decoding.length > replica.memory && replica.running.length > 0 && count(replica) > 1) {
      const last = replica.running.pop() as Call;
      if (last.unread === 0) {
        last.prompt += last.done;
        last.cached = 0;
      }
      last.unread = last.prompt - last.cached;
      (pools[replica.pool]?.prompts ? ready : queues)[replica.pool]?.unshift(last);
      const at = decoding.indexOf(last);
      if (at >= 0) decoding.splice(at, 1);
    }
    let ms = 0;
    let budget = chunk;
    if (decoding.length > 0) {
      const context = decoding.reduce((sum, { prompt, done }) => sum + prompt + done, 0) / decoding.length;
      ms += stepTime(profile, decoding.length, context);
    }
    const points = pointsOf(profile);
    for (const call of replica.running) {
      if (call.unread === 0 || budget <= 0) continue;
      if (chunk === Number.POSITIVE_INFINITY && ms > 0 && decoding.length > 0) ms = 0;
      const part = Math.min(call.unread, budget);
      ms += (promptTime(points, call) * part) / (call.prompt - call.cached);
      budget -= part;
      call.unread -= part;
      if (call.unread === 0) replica.batch.push(call);
    }
    // Without chunks nobody decodes while a prompt is processed.
    if (!(chunk === Number.POSITIVE_INFINITY && replica.batch.length > 0)) replica.batch.push(...decoding);
    replica.busy = replica.batch.length > 0 || ms > 0;
    replica.left = ms;
  };

  /** When an idle replica starts a batch of the calls that wait. */
  const dueAt = (p: number, { maxBatch }: Replica) => {
    const [first] = queues[p] ?? [];
    if (first === undefined || (queues[p]?.length ?? 0) >= maxBatch) return now;
    return first.since + (pools[p]?.maxQueueDelayMs ?? 0);
  };

  const start = () => {
    for (const [p, arrived] of queues.entries()) {
      const isApart = pools[p]?.prompts !== undefined;
      for (const replica of replicas) if (replica.pool === p && replica.reads && !replica.busy) read(replica, arrived);
      const queue = isApart ? (ready[p] ?? []) : arrived;
      const own = replicas.filter((replica) => replica.pool === p && !replica.reads);
      if (own[0]?.profile.batching === 'dynamic') {
        for (const replica of own) {
          if (replica.busy || queue.length === 0 || dueAt(p, replica) > now) continue;
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
              count(replica) === 0 ||
              (count(replica) < replica.maxBatch && held(replica) + call.prompt <= 0.99 * replica.memory),
          )
          .sort((a, b) => count(a) - count(b));
        if (!best) break;
        queue.shift();
        if (call.sender) pull(call, call.sender, best);
        else best.running.push(call);
      }
      for (const replica of own) if (!replica.busy && replica.running.length > 0) iterate(replica);
    }
  };

  let arrived = 0;
  for (;;) {
    start();
    const active = replicas.filter(({ busy }) => busy);
    const on = (device: number) => active.filter(({ spans }) => spans.includes(device));
    const rateOn = (device: number, replica: Replica) => {
      const there = on(device);
      const { concurrency: room = 1, slowdown = 1, sharing } = devices[device] ?? {};
      const atOnce = Math.min(room, there.length);
      // One call alone takes its time, a full device `slowdown` times that, and others what is between.
      const slower = room > 1 ? 1 + ((slowdown - 1) * (atOnce - 1)) / (room - 1) : 1;
      if (sharing !== 'serial') return Math.min(1, room / there.length) / slower;
      return there.sort((a, b) => a.since - b.since).indexOf(replica) < room ? 1 / slower : 0;
    };
    // As fast as the slowest of its devices.
    const rate = (replica: Replica) => Math.min(...replica.spans.map((device) => rateOn(device, replica)));
    const rates = active.map(rate);
    const arrival = arrived < runs ? (timesMs[arrived] as number) : Number.POSITIVE_INFINITY;
    const ends = active.map((replica, i) =>
      (rates[i] ?? 0) > 0 ? now + replica.left / (rates[i] ?? 1) : Number.POSITIVE_INFINITY,
    );
    const timers = replicas.flatMap((replica) => {
      const isWaiting =
        !replica.busy && replica.profile.batching === 'dynamic' && (queues[replica.pool]?.length ?? 0) > 0;
      return isWaiting ? [dueAt(replica.pool, replica)] : [];
    });
    const next = Math.min(arrival, ...ends, ...timers, ...transfers.map(({ at }) => at));
    if (next === Number.POSITIVE_INFINITY) return latency;
    for (const [i, replica] of active.entries()) replica.left -= (next - now) * (rates[i] ?? 0);
    now = next;
    if (arrival <= next) {
      for (const [v, list] of before.entries()) if (list.length === 0) begin(arrived, v);
      arrived += 1;
      continue;
    }
    for (const transfer of transfers.filter(({ at }) => at <= next)) {
      const { call, to } = transfer;
      transfers.splice(transfers.indexOf(transfer), 1);
      to.coming.splice(to.coming.indexOf(call), 1);
      call.sender?.kept.splice(call.sender.kept.indexOf(call), 1);
      call.sender = undefined;
      call.unread = 0;
      to.running.push(call);
    }
    for (const [i, replica] of active.entries()) {
      if ((ends[i] ?? 0) > next + 1e-9) continue;
      const calls = replica.batch;
      replica.busy = false;
      replica.batch = [];
      if (replica.reads) {
        replica.left = 0;
        for (const call of calls) call.sender = replica;
        ready[replica.pool]?.push(...calls);
        continue;
      }
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
      // Until all of them have their token.
      replica.busy = true;
      replica.left = Number.POSITIVE_INFINITY;
      for (const call of calls) {
        call.done += 1;
        if (call.done < call.tokensOut) continue;
        replica.running.splice(replica.running.indexOf(call), 1);
        finish(call.run, call.stage);
      }
      replica.busy = false;
    }
  }
}
