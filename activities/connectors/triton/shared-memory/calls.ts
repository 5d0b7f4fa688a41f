import type { Methods } from '../../../../protocols/open-inference/index.js';
import type { RegionCalls } from './regions.js';

/** Longest wait for a call about shared memory. */
const LIMIT_MS = 5_000;

/**
 * The first version that counts the requests that use a region (24.09): earlier ones crash if it is unregistered while
 * a cancelled request still runs (https://github.com/triton-inference-server/server/pull/7567).
 */
const FIRST = { major: 2, minor: 50 };

type CallOf = <M extends keyof Methods>(
  method: M,
  request: Methods[M]['request'],
  signal: AbortSignal,
) => Promise<Methods[M]['response']>;

/** The calls about regions, by the calls of a client. */
export const regionCalls = (call: CallOf): RegionCalls => ({
  async allowed(signal) {
    const { version } = await call('ServerMetadata', {}, signal);
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major > FIRST.major || (major === FIRST.major && minor >= FIRST.minor)) return;
    throw new Error(`the server is ${version}; shared memory needs Triton ${FIRST.major}.${FIRST.minor} or later`);
  },
  async register(region) {
    await call('SystemSharedMemoryRegister', region, AbortSignal.timeout(LIMIT_MS));
  },
  async unregister(name) {
    await call('SystemSharedMemoryUnregister', { name }, AbortSignal.timeout(LIMIT_MS));
  },
});
