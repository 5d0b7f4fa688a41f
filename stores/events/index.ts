export { type AttemptEvents, RunEventLog } from './run-event-log.js';
export { type FollowedEvent, RunEventReader } from './run-event-reader.js';
export { isBehind, START } from './stream.js';
