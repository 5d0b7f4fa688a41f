export * from './agent.js';
export * from './binding.js';
export { OPERATORS } from './expression.js';
export * from './plan.js';
export { readsOf, readsOfGraph } from './reads.js';
export * from './run.js';
export * from './run-events.js';
export * from './waits.js';
export * from './webhook.js';
