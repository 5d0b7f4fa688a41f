import type { Finding } from '../../cli/doctor/finding.js';

/** Whether a canary took long, or longer than doctor waits, at a server that answers: other tests use the same server. */
export const isSlow = ({ id, state, detail }: Finding): boolean =>
  id === 'pool.canary' &&
  ((state === 'warn' && / took \d+ ms$/.test(detail)) || (state === 'fail' && detail.includes('no answer within')));
