export { keepLease, type LeaseEnd } from './lease.js';
export {
  guardedKey,
  HeldError,
  KEPT_ENDED_MS,
  type Released,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  type Standing,
  segmentKey,
} from './redis-journal.js';
