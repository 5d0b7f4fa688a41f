export { toolSearchKind } from './worker-kind.js';
