export { semantic } from './cache.js';
export * from './pipeline.js';
export type { PolicyOptions } from './policy.js';
export { type Assignable, type Bind, type Bound, type Ref, text } from './reference.js';
