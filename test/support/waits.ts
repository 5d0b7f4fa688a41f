import type { Wait } from '../../pipelines/run/index.js';

/** The nonce of a wait that `waitFor` makes. */
export const nonceOf = (path: string, child = ''): string => `nonce of ${child}${path}`;

/** What stands at a path waits for a person. */
export const waitFor = (path: string, child?: string): Wait => ({
  nonce: nonceOf(path, child),
  stage: path.split('/').at(-1) ?? path,
  path,
  subject: 'it',
  since: '2026-01-01T00:00:00.000Z',
  until: '2026-01-01T01:00:00.000Z',
  otherwise: false,
});
