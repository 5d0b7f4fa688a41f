export { isData, isoSeconds, readTrace, seemMilliseconds, type Trace } from './read-trace.js';
