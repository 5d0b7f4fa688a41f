export { webhookDelivery } from './delivery.js';
export { MOST_TOLD_BYTES, MOST_WAITS, MOST_WAITS_OF_CHILD, MOST_WAITS_OF_CHILDREN } from './schedule.js';
