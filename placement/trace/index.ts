export { isData, isoSeconds, readTrace, type Trace } from './read-trace.js';
