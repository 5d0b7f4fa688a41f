export { memoryKind } from './memory-kind.js';
export { sessionKind } from './worker-kind.js';
