/** Objects of Amazon S3, and of servers of its API, by signed requests: as much of it as jobs with objects need. */
export { below, isBelow, type S3Address, s3Address, s3Uri } from './address.js';
export { type ObjectStore, objectStore } from './store.js';
