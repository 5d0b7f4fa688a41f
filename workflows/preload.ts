import './index.js';

/**
 * Runs once in a worker's sandbox, before its first workflow: what is imported here is evaluated once and not for each run, so
 * nothing in `workflows/` may keep a run's state in a module.
 *
 * Temporal's sandbox takes a stack trace of every promise, each frame of it looked up in the source map. Two frames are the
 * taking itself, and two are enough to find where an error was thrown.
 */
Error.stackTraceLimit = 4;
