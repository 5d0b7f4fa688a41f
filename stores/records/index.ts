/** Run records: the input and result of each call, from which a failed run is resumed. */
export type { Before, EndedCall, KeptEnd, RecordSummary, ResumableRecords, RunRecords } from './record.js';
export { recordKey } from './record-hash.js';
export { asThrown, RedisRecords } from './redis-records.js';
export { type Spill, spillTo } from './spill.js';
