import { STACK_MARK } from '../../deploy/local/stack/marks.js';
import { TEMPORAL_SETTINGS } from '../../workers/settings/temporal.js';
import { readSettings, type Settings } from '../../workers/settings.js';

/** Ports of the stack that tests start: apart from those of a demo that may be up. */
const TEST_PORT_BASE = process.env.MILLRACE_TEST_PORT_BASE ?? '7500';

/** Servers of the developer's own must not take part: an empty setting counts as none. */
const OWN = Object.fromEntries(
  [...Object.keys(TEMPORAL_SETTINGS), 'TEMPORAL_UI_URL', 'TRITON_URL', 'LLM_BASE_URL', 'LLM_API_KEY', 'LLM_MODEL']
    .concat(['REDIS_URL', 'REDIS_INDEX_URL', 'REDIS_CACHE_URL'])
    .concat(['MILLRACE_MODELS', 'MILLRACE_GATEWAY_URL', 'MILLRACE_LLM_GGUF', 'MILLRACE_LOG_LEVEL'])
    .map((name) => [name, '']),
);

/**
 * First port of a stack that is up already (`millrace up`): the tests then start a worker and a gateway of their own on its
 * servers. It saves the minute that servers take to start; tests that kill servers need those of their own.
 */
const SERVERS_AT = process.env.MILLRACE_TEST_SERVERS;

function serversAt(base: number): Record<string, string> {
  const at = (offset: number) => `127.0.0.1:${base + offset}`;
  return {
    TEMPORAL_ADDRESS: at(2),
    TEMPORAL_UI_URL: `http://${at(3)}`,
    REDIS_URL: `redis://${at(4)}`,
    REDIS_INDEX_URL: `redis://${at(10)}`,
    REDIS_CACHE_URL: `redis://${at(11)}`,
    TRITON_URL: at(6),
    LLM_BASE_URL: `http://${at(8)}/v1`,
    MILLRACE_TASK_QUEUE: `test-${TEST_PORT_BASE}`,
  };
}

/** The environment of every process that tests start. */
export const testEnvironment = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...OWN,
  ...(SERVERS_AT && serversAt(Number(SERVERS_AT))),
  // As the command line passes it to processes: a configuration file of the developer's own must not take part.
  MILLRACE_CONFIG: 'none',
  MILLRACE_HOME: '.millrace/test',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: TEST_PORT_BASE,
  MILLRACE_PIPELINES: 'test/fixtures/pipelines.mjs',
  // Canaries count in Triton's statistics, which tests compare: the test of canaries starts a worker of its own.
  MILLRACE_CANARY_INTERVAL_MS: '3600000',
  // Models share the processors with the tests: threads of a model that wait for each other would use most of their time.
  MILLRACE_MODEL_THREADS: '1',
  // A process that stands still must not take its Redis for away: events, records and journals would have gaps.
  MILLRACE_REDIS_TIMEOUT_MS: '5000',
  MILLRACE_INDEX_TIMEOUT_MS: '5000',
  // Above the default, so that a test can send what would show if it were held in memory.
  MILLRACE_MAX_AUDIO_BYTES: '310000000',
  ...more,
});

export const testSettings = (more: Readonly<Record<string, string>> = {}): Settings =>
  readSettings(testEnvironment(more));

/** Marks a process of a test as one of the stack: where a run of the tests is cut off, the next one ends it. */
export const ofTheStack = (): Record<string, string> => ({ [STACK_MARK]: testSettings().MILLRACE_HOME });
