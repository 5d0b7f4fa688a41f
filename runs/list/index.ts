/** The list of runs: what a caller may ask for, and where it is looked up. */
export { approvals, MOST_ASKED, waitingRuns } from './approvals.js';
export { listRequestOf, MOST_ROWS, PATTERNS, RUN_STATUSES, USUAL_ROWS } from './request.js';
export type { ListRequest, RunList } from './run-list.js';
export { TemporalRunList } from './temporal-run-list.js';
