export { type AttemptEvents, RunEventLog } from './run-event-log.js';
export { RunEventReader } from './run-event-reader.js';
export { isBehind, START } from './stream.js';
