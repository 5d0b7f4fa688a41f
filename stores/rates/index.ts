/** Rates, and the counters that enforce them across processes. */
export { type RateCounter, rateCounter } from './counter.js';
export { type Rate, rateFields, windowOf } from './rate.js';
