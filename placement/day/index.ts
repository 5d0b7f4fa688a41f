export { type Hour, hoursOfRates, hoursOfTraces } from './demand.js';
export { type DayOptions, makeSchedule } from './make-schedule.js';
export { readRates } from './read-rates.js';
export { scheduleText } from './text.js';
