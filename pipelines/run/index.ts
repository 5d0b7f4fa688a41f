export type { Change } from './changes.js';
export * from './events.js';
export * from './foreign.js';
export { resultText } from './result-text.js';
export * from './resumption.js';
export * from './run.js';
export { costAt, usageOfRows, usageSum, withCost } from './usage.js';
export * from './waits.js';
export * from './webhook.js';
