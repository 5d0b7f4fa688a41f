export {
  devicesPerReplica,
  largestBatch,
  memoryPerDevice,
  type ReadProfile,
  readProfile,
  readProfiles,
} from './read-profiles.js';
export type { ContinuousProfile, DynamicProfile, Profile, ProfileFile } from './schema.js';
