import { canonicalJson, type Json } from '../../pipelines/json.js';
import { type PlacedPool, type PlacementDocument, replicaName } from '../document/index.js';

/** What a replica's server is configured by. Not its fingerprint: that tells what was profiled. */
const settings = (pool: PlacedPool, { devices, parallel = pool.parallel }: PlacedPool['replicas'][number]): string => {
  const { variant, batching, maxBatch, preferredBatchSizes, maxQueueDelayMs, apart, prefixCache, speculative } = pool;
  const of = { variant, batching, maxBatch, preferredBatchSizes, maxQueueDelayMs, apart, speculative };
  return canonicalJson(
    JSON.parse(JSON.stringify({ ...of, devices, parallel, affinity: prefixCache?.affinity })) as Json,
  );
};

interface Server {
  readonly model: string;
  /** Of each replica there: a server has an instance, or a device several servers, for each. */
  readonly settings: string[];
  /** Of an LLM's key-value cache; 0: unknown, or none. */
  cacheTokens: number;
  /** That an LLM may use on each of its devices; 0: the placement states none. */
  memoryBytes: number;
  /** Of an LLM: tokens of prompts in a step; undefined: its profile states none, or the placement is of an earlier release. */
  chunkTokens?: number | undefined;
}

/** The room of a cache follows from all that is on its device, and differs by a few tokens from one plan to the next. */
const ABOUT = 1.01;

/** The room for a cache: in tokens, or in the bytes that its server is started with if `wanted` does not know the tokens. */
const roomOf = (server: Server | undefined, wanted: Server | undefined): number =>
  (wanted?.cacheTokens ? server?.cacheTokens : server?.memoryBytes) ?? 0;

/** By model and first device, which the models file names. */
function serversOf({ pools }: Pick<PlacementDocument, 'pools'>): ReadonlyMap<string, Server> {
  const servers = new Map<string, Server>();
  for (const pool of pools) {
    for (const replica of pool.replicas) {
      const name = replicaName(pool.model, { devices: replica.devices.slice(0, 1) });
      const server: Server = servers.get(name) ?? { model: pool.model, settings: [], cacheTokens: 0, memoryBytes: 0 };
      server.settings.push(settings(pool, replica));
      server.cacheTokens += replica.cacheTokens ?? 0;
      server.memoryBytes += replica.memoryBytes ?? 0;
      server.chunkTokens = replica.chunkTokens ?? pool.chunkTokens;
      servers.set(name, server);
    }
  }
  return servers;
}

/**
 * Replicas that both placements have, and of which the second one needs more, fewer, or others, or a larger cache. Of a model served
 * apart also those that only one has: the router in front of them is started with the addresses of all.
 */
export function reconfigured(from: PlacementDocument, to: PlacementDocument): readonly string[] {
  const [before, after] = [serversOf(from), serversOf(to)];
  const routed = new Set([...from.pools, ...to.pools].flatMap(({ model, apart }) => (apart ? [model] : [])));
  const isEnough = (is: Server | undefined, wanted: Server | undefined) =>
    is?.settings.toSorted().join() === wanted?.settings.toSorted().join() &&
    roomOf(wanted, wanted) <= ABOUT * roomOf(is, wanted) &&
    (is?.chunkTokens ?? wanted?.chunkTokens) === (wanted?.chunkTokens ?? is?.chunkTokens);
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => {
    const [is, wanted] = [before.get(name), after.get(name)];
    const isInUse = (is && wanted) || routed.has((is ?? wanted)?.model ?? '');
    return isInUse && !isEnough(is, wanted);
  });
}
