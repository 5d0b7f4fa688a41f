import { z } from 'zod';
import { bytes, list, ms } from './fields.js';

/** The worker. */
export const WORKER_SETTINGS = {
  MILLRACE_MAX_ACTIVITIES: z.coerce
    .number()
    .int()
    .positive()
    .default(32)
    .describe('Concurrent stages of a worker: Triton’s Python backend stalls above 32 concurrent calls per model.'),
  MILLRACE_DEVICES: list(
    'Devices that the worker serves, by their labels in the models file, separated by commas: their task queues, and those of the pools that have an endpoint there. Default: none, it serves the shared queue only.',
  ),
  MILLRACE_FAST_PATH: z
    .enum(['on', 'off'])
    .default('on')
    .describe(
      'Whether interactive runs that a caller waits for, and that are one segment, bypass Temporal: the gateway hands them to a worker, with the workflow as their guardian.',
    ),
  MILLRACE_NEXUS: z
    .enum(['on', 'off'])
    .default('off')
    .describe(
      'Whether the worker serves the Nexus service `millrace`, with an operation for each pipeline, to workflows of other namespaces. Off by default: endpoints have to be created on the Temporal server, and whoever reaches one can act for every tenant.',
    ),
  MILLRACE_WORKER_METRICS_HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'Address on which the worker serves `/metrics`, `/healthz` and `/readyz`, without authentication. Set it where a Prometheus server or the probes of Kubernetes are on other machines.',
    ),
  MILLRACE_MAX_STAGE_MEDIA_BYTES: bytes(
    'Bytes of media that one call of a stage may write, and that a function of your own may read at a time: a few MB of packed audio unpack to gigabytes. 2 GiB are 6 hours of 16-bit mono at 48 kHz.',
    2 * 1024 ** 3,
  ),
  MILLRACE_SHUTDOWN_GRACE_MS: ms('Time that running stages have to finish when a worker is stopped.', 10_000),
  MILLRACE_CANARY_INTERVAL_MS: ms(
    'Interval of canary calls to a model: a model that fails without traffic is detected within it.',
    15_000,
  ),
  MILLRACE_REDIS_TIMEOUT_MS: ms(
    'Timeout of a Redis command, after which a cache lookup counts as a miss: far above a normal reply (< 1 ms), far below an LLM call.',
    250,
  ),
  MILLRACE_FFMPEG: z
    .string()
    .optional()
    .describe(
      'ffmpeg, which decodes audio other than WAV, and encodes speech at the gateway: a path, or a name on PATH. Default: the first one on PATH, else the one in the embedded servers’ packages. WAV does not need it.',
    ),
  MILLRACE_INDEX_TIMEOUT_MS: ms(
    'Timeout of a Redis command on a vector index, which has no fallback: far above a batch of writes (10 ms), and short enough for a cancelled stage to end.',
    1_000,
  ),
};
