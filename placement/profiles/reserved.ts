import { devicesPerReplica } from './read-profiles.js';
import type { Profile } from './schema.js';

/** The most that is assumed on a device. */
export const MOST_RESERVED_BYTES = 4 * 2 ** 30;
const RESERVED_SHARE = 1 / 16;

/**
 * Bytes of its share on a device with so much memory that vLLM usually gives neither to weights nor to the cache: a sixteenth of the device, at most
 * 4 GiB. vLLM reports them when it starts. Of 80 GiB, with Llama 3 8B, they are 1.3 GiB of activations and 1.8 GiB outside of PyTorch
 * (vllm-project/vllm, pull request 10511), and some 1 GiB of CUDA graphs; of 32 GiB 1.3 to 2.1 GiB (issue 14452) and the graphs; of 24 GiB 0.6 GiB
 * (pull request 14447), less than the 1.5 GiB here. On devices of less than 70 GiB a step has fewer tokens of prompts, and so fewer activations.
 * Models that see images may take more.
 */
const usuallyReserved = (deviceBytes: number): number =>
  Math.min(MOST_RESERVED_BYTES, Math.floor(deviceBytes * RESERVED_SHARE));

/**
 * Bytes that an LLM server takes on each device of a replica beside weights and key-value cache: as the profile states them. Where it states the
 * size of a token but not these, they are `usuallyReserved`, and no more than the weights there: a small model takes less.
 *
 * @param deviceBytes the memory of each of the devices
 */
export function reservedPerDevice(profile: Profile, deviceBytes: number): number {
  if (profile.batching !== 'continuous' || profile.memory === undefined) return 0;
  const { weights, reserved } = profile.memory;
  if (reserved !== undefined) return reserved;
  if (!assumesReserved(profile)) return 0;
  return Math.min(usuallyReserved(deviceBytes), Math.ceil(weights / devicesPerReplica(profile)));
}

/** Whether a profile leaves it to `reservedPerDevice` what is reserved. */
export const assumesReserved = (profile: Profile): boolean =>
  profile.batching === 'continuous' && (profile.memory?.perToken ?? 0) > 0 && profile.memory?.reserved === undefined;
