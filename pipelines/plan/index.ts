export * from './binding.js';
export * from './plan.js';
export * from './run.js';
