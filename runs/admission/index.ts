/** Which runs may start. */
export { Admission } from './admission.js';
export { Backlog } from './backlog.js';
export { queueStats } from './queue-stats.js';
export { RunSlots } from './run-slots.js';
export { stateOf } from './state-of.js';
export { runningRuns, TenantTurns } from './tenant-turns.js';
