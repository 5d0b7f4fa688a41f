import './index.js';

/**
 * Runs once in a worker's sandbox, before its first workflow: modules imported here are evaluated once instead of once
 * per run, so modules of `workflows/` must not hold the state of a run.
 *
 * Temporal's sandbox takes a stack trace of every promise and looks up each frame in the source map. Two frames belong
 * to the capture itself, and two more suffice to locate an error.
 */
Error.stackTraceLimit = 4;
