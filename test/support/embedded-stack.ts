import { down, NODE_PARTS, type PartName, SERVER_PARTS, up } from '../../deploy/local/stack/index.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { testSettings } from './settings.js';

/**
 * Starts the real servers, a worker and the gateway for the integration tests and stops them afterwards. Needs the build
 * (`dist/`), which `npm test` makes first: workers and gateway run from it as they do for users.
 */
export async function setup(): Promise<(() => Promise<unknown>) | undefined> {
  // The projects of one run share it: the first one starts and stops it.
  if (process.env.TEST_GATEWAY_URL !== undefined) return undefined;
  process.stderr.write(
    'integration tests: starting Temporal, Redis, Triton, an LLM server, a worker and the gateway\n',
  );
  const stop = await startStack([...SERVER_PARTS, ...NODE_PARTS]);
  process.env.TEST_GATEWAY_URL = gatewayUrl(testSettings());
  return stop;
}

/** Starts parts of the stack, with all servers, whose addresses `address()` then has, and gives what stops it. */
export async function startStack(parts: readonly PartName[] = SERVER_PARTS): Promise<() => Promise<unknown>> {
  const settings = testSettings();
  // What an interrupted run has left up would run yesterday's build.
  await down(settings);
  const endpoints = await up({
    settings,
    parts,
    onProgress: ({ part, state, detail, ms }) =>
      void process.stderr.write(`  ${(ms / 1000).toFixed(1)} s  ${part} ${state} ${detail}\n`),
  });
  process.env.TEST_TEMPORAL_ADDRESS = endpoints.temporal;
  process.env.TEST_REDIS_URL = endpoints.redis;
  process.env.TEST_REDIS_INDEX_URL = endpoints.redisIndex;
  process.env.TEST_REDIS_CACHE_URL = endpoints.redisCache;
  process.env.TEST_TRITON_URL = endpoints.triton[0];
  process.env.TEST_LLM_BASE_URL = endpoints.llm[0];
  return () => down(settings);
}
