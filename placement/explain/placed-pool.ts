import { deviceQueue, type PlacedPool, poolQueue } from '../document/index.js';
import {
  type Candidate,
  configOf,
  delayOf,
  mostTokensOf,
  orderedReplicas,
  type Problem,
  prefixOf,
  type Replica,
  replicasByDevice,
  takenBytes,
  takesTheRest,
  useOn,
} from '../planner/index.js';
import { type Profile, reservedPerDevice } from '../profiles/index.js';
import { ms, round } from './figures.js';
import { reasonOf } from './reason.js';

/** A pool of a candidate as the document has it: what its servers are started with, and why. */
export function placedPool(problem: Problem, candidate: Candidate, p: number): PlacedPool {
  const config = configOf(problem, candidate, p);
  const replicas = orderedReplicas(problem, candidate, p);
  const use = useOn(problem, candidate, p, replicas[0]?.devices[0] ?? 0);
  // As it is simulated: a kind on which fewer calls were measured limits all of them.
  const all = replicas.flatMap(({ devices }) => useOn(problem, candidate, p, devices[0] ?? 0) ?? []);
  const parallel = use?.profile.parallel ?? { tensor: 1, pipeline: 1 };
  // Of kinds of which one states nothing, each replica has its own.
  const chunkTokens = all.every((each) => chunkOf(each.profile) !== undefined) ? chunkOf(use?.profile) : undefined;
  const model = problem.pools[p]?.model ?? '';
  const { endpoints } = problem.inventory;
  return {
    model,
    variant: config?.variant ?? '',
    quality: config?.quality ?? 1,
    batching: config?.batching ?? 'dynamic',
    parallel,
    maxBatch: Math.min(...all.map(({ maxBatch }) => maxBatch)),
    preferredBatchSizes: [...(use?.preferred ?? [])],
    maxQueueDelayMs: config?.batching === 'continuous' ? 0 : ms(delayOf(candidate, p)),
    memoryBytes: use?.memoryBytes ?? 0,
    queue: poolQueue(model),
    replicas: replicas.map(({ devices }) => {
      const ids = devices.map((device) => problem.devices[device]?.id ?? '');
      const there = endpoints.filter(({ device }) => device === ids[0]);
      const running =
        there.find(({ models }) => models.includes(model)) ?? there.find(({ models }) => models.length === 0);
      const cache = cacheOf(problem, candidate, { pool: p, devices });
      const profile = useOn(problem, candidate, p, devices[0] ?? 0)?.profile;
      const own = profile?.parallel ?? parallel;
      const chunk = chunkOf(profile);
      const differs = own.tensor !== parallel.tensor || own.pipeline !== parallel.pipeline;
      const other = differs && { parallel: own };
      return {
        devices: ids,
        queue: deviceQueue(ids[0] ?? ''),
        ...other,
        ...(running && { endpoint: running.url }),
        ...cache,
        ...(chunk !== undefined && chunk !== chunkTokens && { chunkTokens: chunk }),
      };
    }),
    ...apartOf(problem, p),
    ...prefixCacheOf(problem, candidate, p),
    ...(chunkTokens !== undefined && { chunkTokens }),
    ...speculativeOf(use?.profile),
    ...(use?.profile.fingerprint && { fingerprint: use.profile.fingerprint }),
    reason: reasonOf(problem, candidate, p),
  };
}

function apartOf({ pools }: Problem, p: number): Pick<PlacedPool, 'apart'> {
  const own = pools[p]?.handsTo;
  const other = own ? pools[own.pool] : pools.find(({ handsTo }) => handsTo?.pool === p);
  return other ? { apart: { part: own ? 'prefill' : 'decode', with: other.model } } : {};
}

function prefixCacheOf(problem: Problem, candidate: Candidate, p: number): Pick<PlacedPool, 'prefixCache'> {
  const found = prefixOf(problem, candidate, p);
  if (found === undefined) return {};
  const { affinity, by, share, otherwise, from } = found;
  return { prefixCache: { affinity, by, share: round(share, 4), otherwise: round(otherwise, 4), from: [...from] } };
}

/** As the profile states it: where it does not, servers are started without it. */
const chunkOf = (profile: Profile | undefined): number | undefined =>
  profile?.batching === 'continuous' ? profile.chunkTokens : undefined;

/** N-grams of the prompt need no second model, so they are what a profile without a configuration means. */
function speculativeOf(profile: Profile | undefined): Pick<PlacedPool, 'speculative'> {
  if (profile?.batching !== 'continuous' || profile.speculative === undefined) return {};
  const { tokens, config } = profile.speculative;
  return { speculative: config ?? { method: 'ngram', num_speculative_tokens: tokens, prompt_lookup_max: tokens } };
}

/** An LLM replica's memory with its part of what its device has left, and its cache where the profile states the bytes of a token. */
export function cacheOf(
  problem: Problem,
  candidate: Candidate,
  replica: Replica,
): Pick<PlacedPool['replicas'][number], 'memoryBytes' | 'cacheTokens' | 'tokenBytes' | 'reservedBytes'> {
  const use = useOn(problem, candidate, replica.pool, replica.devices[0] ?? 0);
  if (use === undefined || !takesTheRest(use)) return {};
  const on = replicasByDevice(candidate);
  const memoryBytes = Math.ceil(takenBytes(problem, candidate, replica, on));
  if (use.tokenBytes === 0) return { memoryBytes };
  const cacheTokens = mostTokensOf(problem, candidate, replica, on);
  const reservedBytes = reservedPerDevice(use.profile, problem.devices[replica.devices[0] ?? 0]?.memoryBytes ?? 0);
  return { memoryBytes, cacheTokens, tokenBytes: use.tokenBytes, reservedBytes };
}
