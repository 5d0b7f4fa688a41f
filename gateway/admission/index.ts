/** Which runs may start. */
export { Admission } from './admission.js';
export { RunSlots } from './run-slots.js';
export { stateOf } from './state-of.js';
