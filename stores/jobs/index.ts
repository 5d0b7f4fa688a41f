export { type FastJob, FastJobQueue, FastJobs } from './fast-jobs.js';
