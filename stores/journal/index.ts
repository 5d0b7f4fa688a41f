export { keepLease } from './lease.js';
export {
  guardedKey,
  HeldError,
  KEPT_ENDED_MS,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  SupersededError,
  segmentKey,
} from './redis-journal.js';
export type { Standing } from './scripts.js';
