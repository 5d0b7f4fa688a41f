export { keepLease } from './lease.js';
export {
  guardedKey,
  HeldError,
  KEPT_ENDED_MS,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  type Standing,
  segmentKey,
} from './redis-journal.js';
