import { existsSync } from 'node:fs';
import path from 'node:path';
import { MillraceError } from '../../../pipelines/errors.js';

/** Where Linux lists its processes. */
export const PROC = '/proc';

/**
 * Throws `STACK_UNSUPPORTED` where the stack cannot find its own processes, as on macOS and Windows, also if all servers are the user's.
 *
 * @param proc where the system lists its processes
 */
export function requireProc(proc: string, platform: string = process.platform): void {
  if (existsSync(path.join(proc, 'self', 'stat'))) return;
  throw new MillraceError(
    'STACK_UNSUPPORTED',
    `The stack runs on Linux: it finds its processes in ${proc}, which ${platform} does not have. Set TEMPORAL_ADDRESS, REDIS_URL, ` +
      'TRITON_URL and LLM_BASE_URL to your own servers, and run "millrace worker" and "millrace gateway" yourself.',
  );
}
