import { devicesPerReplica } from './read-profiles.js';
import type { Profile } from './schema.js';

/**
 * Bytes of its share on each device that vLLM gives neither to weights nor to the cache, as it reports them when it starts. For Llama 3 8B on an
 * H100 they are 1.3 GiB of activations, 1.8 GiB outside of PyTorch (vllm-project/vllm, pull request 10511), and some 1 GiB of CUDA graphs. Models that
 * see images may take more.
 */
export const RESERVED_BYTES = 4 * 2 ** 30;

/**
 * Bytes that an LLM server takes on each device of a replica beside weights and key-value cache: as the profile states them. Where it states the
 * size of a token but not these, `RESERVED_BYTES`, and no more than the weights there: a small model takes less.
 */
export function reservedPerDevice(profile: Profile): number {
  if (profile.batching !== 'continuous' || profile.memory === undefined) return 0;
  const { weights, perToken, reserved } = profile.memory;
  if (reserved !== undefined) return reserved;
  return perToken > 0 ? Math.min(RESERVED_BYTES, Math.ceil(weights / devicesPerReplica(profile))) : 0;
}
