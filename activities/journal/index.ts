export { SegmentJournal } from './redis-journal.js';
