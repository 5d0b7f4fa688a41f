export { webhookDelivery } from './delivery.js';
