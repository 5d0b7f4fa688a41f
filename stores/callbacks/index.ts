/** Calls of servers that have ended a job. */
export { CALLBACK_PATH, type Callbacks, RedisCallbacks } from './callbacks.js';
