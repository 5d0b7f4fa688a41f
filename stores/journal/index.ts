export { keepLease } from './lease.js';
export {
  guardedKey,
  HeldError,
  KEPT_ENDED_MS,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  type Standing,
  SupersededError,
  segmentKey,
} from './redis-journal.js';
