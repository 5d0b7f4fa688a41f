export { HeldError, SupersededError } from './errors.js';
export { keepLease } from './lease.js';
export {
  eraseJournal,
  guardedKey,
  isReleased,
  KEPT_ENDED_MS,
  type OpenOptions,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  segmentKey,
} from './redis-journal.js';
export type { Standing } from './scripts.js';
