export { type AttemptEvents, RunEventLog } from './run-event-log.js';
export { RunEventReader } from './run-event-reader.js';
