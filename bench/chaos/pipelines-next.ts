/** The next release: the same pipelines, with other functions under the same names. */
import { paymentsOf } from './payments.js';

export const { payment, order, approval } = paymentsOf('next');
export { sixStages } from './six-stages.js';
