import type { Backend, Call, CallContext, Usage } from '../../../../activities/connectors/connector.js';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { type Attempt, StageRunner, type StageRunnerParts } from '../../../../activities/stage/stage-runner.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { recordingLogger } from '../../../support/caches.js';
import { idleParts } from '../../../support/runner-parts.js';

type Invoke = (call: Call, context: CallContext, endpoint: string) => Promise<JsonObject>;

/** A runner over one pool `assistant` of two endpoints of one place each, whose calls `invoke` answers, and what they say they use. */
export function runnerOf(
  invoke: Invoke,
  more: Partial<StageRunnerParts> = {},
  pool: object = {},
  usage: Usage = { outputTokens: 3 },
) {
  const calls: { call: Call; context: CallContext; endpoint: string }[] = [];
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['chat']),
    capabilities: new Set<never>(),
    check: () => undefined,
    connect: (endpoint): Backend => ({
      endpoint,
      invoke: async (call, context) => {
        calls.push({ call, context, endpoint });
        return { output: await invoke(call, context, endpoint), usage };
      },
      probe: async () => undefined,
      fingerprint: async () => 'weights',
      close: () => undefined,
    }),
  };
  const endpoints = ['a', 'b'].map((url) => ({ url, device: `gpu-${url}`, concurrency: 1 }));
  const metrics = createMetrics();
  const { logger } = recordingLogger();
  const pools = new Pools({
    models: parseModels({ assistant: { connector: 'fake', model: 'm', kind: 'chat', endpoints, ...pool } }, 'test'),
    connectors: new Map([['fake', connector]]),
    metrics,
    logger,
    canaryIntervalMs: 60_000,
  });
  const runner = new StageRunner({
    ...idleParts(),
    pools,
    metrics,
    logger,
    ...more,
  });
  return { runner, calls, metrics };
}

export const stage: StageCall = {
  pipeline: 'p',
  version: 'v',
  tenant: 'acme',
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
};
export const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  signal: new AbortController().signal,
  attempt: 1,
  queueMs: 0,
  run: 'run-1',
  resumeFrom: null,
  checkpoint: () => undefined,
  ...more,
});
export const prompt = { prompt: 'Hello?' };
export const reply = async () => ({ text: 'Hello.' });
/** Answers when its signal aborts, never otherwise. */
export const silence: Invoke = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
