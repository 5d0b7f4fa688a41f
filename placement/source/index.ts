export { type Located, locate, MOST_MADE, type Path, readLocated } from './located.js';
export { nearest } from './nearest.js';
export { bandwidth, latency, memory, memoryOrNone, spellBytes } from './quantity.js';
