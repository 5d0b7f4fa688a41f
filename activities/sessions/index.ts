export { sessionKind } from './worker-kind.js';
