export {
  type BatchSamples,
  percentiles,
  profileOfBatches,
  profileOfSequences,
  type SequenceSamples,
} from './fit.js';
export {
  checkProfiles,
  devicesPerReplica,
  largestBatch,
  memoryPerDevice,
  type ReadProfile,
  readProfile,
  readProfiles,
} from './read-profiles.js';
export { assumesReserved, MOST_RESERVED_BYTES, reservedPerDevice } from './reserved.js';
export {
  type ContinuousProfile,
  chunkTokensOf,
  type DynamicProfile,
  type Profile,
  type ProfileFile,
} from './schema.js';
export { changedSince, tooOld } from './stale.js';
