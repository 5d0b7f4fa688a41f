import {
  devicesPerReplica,
  largestBatch,
  memoryPerDevice,
  type Profile,
  reservedPerDevice,
} from '../profiles/index.js';
import { firstContinuous } from '../simulator/index.js';
import type { CallTimes } from './call-times.js';
import { type Draft, meanTokens } from './drafts.js';
import { tokensAlone } from './memory.js';
import type { Cell, Config, PoolProblem, Use } from './problem.js';
import { leastStepsMs } from './step-work.js';

/** What the load asks of pools, and the devices that it may have. */
export interface Asked {
  /** By stage: calls that reach its pool in a millisecond, at least. */
  readonly callsPerMs: readonly number[];
  /** Time that a run may spend at each stage to be in time, on the usual path. */
  readonly slackMs: readonly number[];
  readonly kinds: readonly string[];
  readonly cells: readonly Cell[];
}

/** Most batch sizes to try: each one multiplies the search space. */
const MOST_BATCHES = 6;

/** The ways to serve a pool: its variants, and for each the batch sizes worth trying, on every kind that was profiled and has room. */
export function poolOf(model: string, drafts: readonly Draft[], asked: Asked): PoolProblem {
  // All replicas of a pool batch alike.
  const like = ({ profile: { variant, batching } }: Draft) => JSON.stringify([variant, batching]);
  const configs = [...new Set(drafts.map(like))].flatMap((key): Config[] => {
    const own = drafts.filter((draft) => like(draft) === key);
    return (own[0]?.batches ?? batchesOf(own.map(({ profile }) => profile))).flatMap((maxBatch): Config[] => {
      const uses: (Use | undefined)[] = asked.kinds.map(() => undefined);
      for (const draft of own) uses[draft.kind] = useOf(draft, maxBatch, asked);
      const [{ profile } = { profile: undefined }] = own;
      if (profile === undefined || uses.every((use) => use === undefined)) return [];
      const { variant, quality, batching } = profile;
      return [{ variant, quality, batching, maxBatch, uses }];
    });
  });
  return { model, configs };
}

/** Batch sizes worth trying: the measured ones, evenly thinned out. */
function batchesOf(profiles: readonly Profile[]): readonly number[] {
  const measured = profiles.flatMap((profile) =>
    (profile.batching === 'dynamic' ? profile.latency : profile.decode).map(({ batch }) => batch),
  );
  const sorted = [...new Set(measured)].sort((a, b) => a - b);
  if (sorted.length <= MOST_BATCHES) return sorted;
  const step = (sorted.length - 1) / (MOST_BATCHES - 1);
  return Array.from({ length: MOST_BATCHES }, (_, i) => sorted[Math.round(i * step)] ?? 1);
}

function useOf(draft: Draft, batch: number, { callsPerMs, slackMs, cells }: Asked): Use | undefined {
  const { kind, profile, tables, times, mostTokens } = draft;
  const maxBatch = Math.min(batch, largestBatch(profile));
  const ofKind = cells.filter((cell) => cell.kind === kind);
  const cache = cacheOf(profile, maxBatch, meanTokens(times), ofKind);
  if (cache === undefined) return undefined;
  let erlangs = stepErlangs(draft, maxBatch, callsPerMs);
  const preferred =
    profile.batching === 'dynamic' ? profile.preferredBatchSizes.filter((size) => size <= maxBatch) : [];
  // What a replica takes of a long queue.
  const full = preferred.length > 0 ? Math.max(...preferred) : maxBatch;
  let fullErlangs = erlangs;
  let draftErlangs = 0;
  let batchMs = 0;
  const extras: ((replicas: number) => number)[] = [];
  for (const [v, time] of times.entries()) {
    if (time === undefined) continue;
    const own = callsPerMs[v] ?? 0;
    batchMs += time.batchMs[maxBatch - 1] ?? 0;
    const leastMs = time.leastMs(maxBatch);
    erlangs += own * leastMs;
    fullErlangs += own * Math.max(leastMs, time.fullMs?.(full) ?? 0);
    draftErlangs += own * likelyMs(time, maxBatch, mostTokens, slackMs[v] ?? 0);
    const { extraMs } = time;
    if (extraMs) extras.push((replicas) => own * extraMs(replicas));
  }
  return {
    profile,
    maxBatch,
    preferred,
    width: devicesPerReplica(profile),
    memoryBytes: cache.bytes,
    mostTokens: cache.tokens,
    tokenBytes: cache.tokenBytes,
    tables,
    batchMs,
    erlangs,
    fullErlangs,
    draftErlangs,
    heldShare: Math.min(1, ...times.map((time) => time?.share ?? 1)),
    ...(extras.length > 0 && {
      extraErlangs: (replicas: number) => extras.reduce((sum, extra) => sum + extra(replicas), 0),
    }),
  };
}

/** Replicas that the steps of all stages of a pool keep busy at the least. */
function stepErlangs({ tables, times, mostTokens }: Draft, maxBatch: number, calls: readonly number[]): number {
  const table = firstContinuous(tables);
  if (table === undefined) return 0;
  const generated = { steps: 0, cached: 0, longest: 0 };
  for (const [v, time] of times.entries()) {
    if (time?.generated === undefined) continue;
    const { steps, cached, longest } = time.generated;
    generated.steps += (calls[v] ?? 0) * steps;
    generated.cached += (calls[v] ?? 0) * cached;
    generated.longest = Math.max(generated.longest, longest);
  }
  return leastStepsMs(table.steps, maxBatch, mostTokens, generated);
}

/** The least mean work of a call in batches that are likely in time, of as many sequences as the cache holds on average. */
function likelyMs(times: CallTimes, maxBatch: number, mostTokens: number, slackMs: number): number {
  const { batchMs, workMs, context } = times;
  const most = Math.max(1, Math.min(maxBatch, Math.floor(mostTokens / (context || 1))));
  const likely = workMs.slice(0, most).filter((_, i) => (batchMs[i] ?? 0) * LUCKY <= slackMs);
  return likely.length > 0 ? Math.min(...likely) : UNLIKELY * (workMs[0] ?? 0);
}

/** A batch may be faster than its mean, and its runs smaller; one that exceeds the objective even at this share of it hardly meets it. */
const LUCKY = 0.5;
/** Factor on the work of a call whose batches are all likely to be late, so that drafts choose such a configuration last. */
const UNLIKELY = 1e6;

/**
 * The key-value cache that a replica needs: for as many average sequences as it may run, at most what fits each of the devices that hold one,
 * which may leave LLM servers different shares of their memory. Undefined if none holds one.
 */
function cacheOf(profile: Profile, maxBatch: number, tokens: number, cells: readonly Cell[]) {
  const reserved = reservedPerDevice(profile, cells[0]?.memoryBytes ?? 0);
  if (profile.batching !== 'continuous' || !profile.memory?.perToken) {
    const bytes = memoryPerDevice(profile, maxBatch, tokens) + reserved;
    return { tokens: Number.POSITIVE_INFINITY, tokenBytes: 0, bytes };
  }
  const { weights, perToken } = profile.memory;
  const width = devicesPerReplica(profile);
  const alone = cells.map((cell) => tokensAlone(profile, cell)).filter((each) => each >= tokens);
  if (alone.length === 0) return undefined;
  const wanted = Math.min(...alone, Math.ceil(maxBatch * tokens));
  const bytes = Math.ceil((weights + wanted * perToken) / width) + reserved;
  return { tokens: wanted, tokenBytes: perToken / width, bytes };
}
