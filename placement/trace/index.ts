export { readTrace, type Trace } from './read-trace.js';
