import { Pools } from '../../activities/pools/index.js';
import { StageRunner, type StageRunnerParts } from '../../activities/stage/stage-runner.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { MemoryChannelLog } from '../../stores/channels/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { recordingLogger } from './caches.js';
import { contextOf } from './in-process.js';
import { idleParts } from './runner-parts.js';

const noAudio = () => Promise.reject(new Error('no audio'));

/** A runner of functions. `channels` null: streams are collected. */
export function functionRunner(
  code: StageRunnerParts['code'],
  channels: MemoryChannelLog | null,
  more: Partial<StageRunnerParts> = {},
): StageRunner {
  const metrics = createMetrics();
  const { logger } = recordingLogger();
  return new StageRunner({
    ...idleParts(),
    code,
    pools: new Pools({ models: {}, connectors: new Map(), metrics, logger, canaryIntervalMs: 1_000 }),
    ...(channels && { streams: { channels, join: noAudio, convert: noAudio } }),
    metrics,
    logger,
    ...more,
  });
}

/** Runs a pipeline of functions in this process. `channels` null: streams are collected. */
export async function runFunctions(
  of: unknown,
  input: JsonObject,
  channels: MemoryChannelLog | null = new MemoryChannelLog(),
  signal?: AbortSignal,
) {
  const pipelineOf = of as Pipeline;
  const runner = functionRunner(pipelineOf.code, channels);
  return await runInProcess(input, contextOf(pipelineOf), { runner, run: 'r', ...(signal && { signal }) }).then(
    ({ output }) => ({ output, code: undefined, message: '' }),
    ({ code, message }: { code: string; message: string }) => ({ output: undefined, code, message }),
  );
}
