import type { Finding } from '../../cli/doctor/finding.js';

/** Whether a canary has succeeded, but took long: other tests use the same server. */
export const isSlow = ({ id, state, detail, ms }: Finding): boolean =>
  id === 'pool.canary' && state === 'warn' && ms !== undefined && / took \d+ ms$/.test(detail);
