import { paymentsOf } from './payments.js';

export const { payment, order, approval } = paymentsOf('first');
export { sixStages } from './six-stages.js';
