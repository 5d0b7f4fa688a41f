export { HeldError, SupersededError } from './errors.js';
export { guardedKey, segmentKey } from './keys.js';
export { keepLease } from './lease.js';
export { eraseJournal, isReleased, KEPT_ENDED_MS, releaseRecord, revokeRecord } from './over.js';
export { type OpenOptions, SegmentJournal } from './redis-journal.js';
export type { Standing } from './scripts.js';
