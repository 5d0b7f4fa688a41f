import type { Device } from '../inventory/index.js';
import { assumesReserved, devicesPerReplica, type Profile, reservedPerDevice } from '../profiles/index.js';
import type { Load } from '../simulator/index.js';

/** Memory of a device that models may use: what an LLM server leaves free stays free once. */
export const roomOf = (
  { memoryBytes, memoryUtilization }: Pick<Device, 'memoryBytes' | 'memoryUtilization'>,
  withLlm: boolean,
): number => (withLlm ? Math.floor(memoryBytes * memoryUtilization) : memoryBytes);

/**
 * Tokens in the key-value cache of a replica that has its devices alone: their memory, times the share that LLM servers
 * may use, less the weights and what is reserved on each device, over the bytes of a token. Infinite without a size of tokens; 0 if the
 * weights do not fit.
 */
export function tokensAlone(profile: Profile, device: Pick<Device, 'memoryBytes' | 'memoryUtilization'>): number {
  if (profile.batching !== 'continuous' || profile.memory === undefined) return Number.POSITIVE_INFINITY;
  const { weights, perToken } = profile.memory;
  const room = roomOf(device, true) - reservedPerDevice(profile, device.memoryBytes);
  const left = room * devicesPerReplica(profile) - weights;
  if (left <= 0) return 0;
  return perToken === 0 ? Number.POSITIVE_INFINITY : Math.floor(left / perToken);
}

/** What a plan says of a model whose profiles do not state all of its memory. */
export function memoryAssumptions(model: string, profiles: readonly Profile[]): readonly string[] {
  const hasNone = profiles.some(({ memory }) => memory === undefined);
  const hasNoTokens = profiles.some((profile) => profile.batching === 'continuous' && profile.memory?.perToken === 0);
  return [
    ...(hasNone ? [`${model}: one of its profiles states no memory; it is assumed to need none`] : []),
    ...(hasNoTokens
      ? [
          `${model}: one of its profiles states no memory of a token (perToken); what its devices leave is assumed to hold the key-value cache of all calls`,
        ]
      : []),
    ...(profiles.some(assumesReserved)
      ? [
          `${model}: one of its profiles does not state memory.reserved, what its server takes beside weights and cache; a sixteenth of a device is assumed, at most 4 GiB and no more than the weights there`,
        ]
      : []),
  ];
}

/** Tokens of each request of a pipeline at a stage: of its prompt and of its answer. */
export function tokensOf(load: Load, profile: Profile, request: number): number {
  if (profile.batching !== 'continuous') return 0;
  const { size } = profile;
  const known = (column: string, typical = Number.NaN) => {
    const value = load.sizes[column]?.[request] ?? Number.NaN;
    return Number.isNaN(value) ? typical : value;
  };
  return known(size.in, size.typicalIn) + known(size.out, size.typicalOut);
}

/** The requests of a load for which `keep` is true. */
export function keptRequests(load: Load, keep: (request: number) => boolean): Load {
  const kept = Array.from(load.timesMs, (_, i) => i).filter(keep);
  if (kept.length === load.timesMs.length) return load;
  const pick = (values: Float64Array) => Float64Array.from(kept, (i) => values[i] as number);
  return {
    timesMs: pick(load.timesMs),
    pipelines: Uint16Array.from(kept, (i) => load.pipelines[i] as number),
    sizes: Object.fromEntries(Object.entries(load.sizes).map(([name, values]) => [name, pick(values)])),
  };
}
