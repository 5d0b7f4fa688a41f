export { type FastJob, FastJobQueue, FastJobs, type TakenJob } from './fast-jobs.js';
