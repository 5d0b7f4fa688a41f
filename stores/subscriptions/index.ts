/** Who is to be told of a run's waits and its end: receivers that callers name while it runs. */
export { RedisSubscriptions, type Subscription, type Subscriptions } from './subscriptions.js';
