export { keepLease } from './lease.js';
export {
  HeldError,
  KEPT_ENDED_MS,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  WHOLE_RUN,
} from './redis-journal.js';
