/** The record of runs: what each call was given and what it gave, so that a run that has failed can be resumed. */
export type { Before, EndedCall, KeptEnd, RecordSummary, ResumableRecords, RunRecords } from './record.js';
export { asThrown, RedisRecords, recordKey } from './redis-records.js';
export { type Spill, spillTo } from './spill.js';
