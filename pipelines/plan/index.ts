export * from './agent.js';
export * from './binding.js';
export { OPERATORS } from './expression.js';
export * from './plan.js';
export { readsOf, readsOfGraph } from './reads.js';
export { speakerOf, streamsInto } from './streams.js';
