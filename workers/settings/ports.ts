import { z } from 'zod';
import { BASE_PORT, port } from './fields.js';

/** Distance of the last of the ports below from the first. */
const LAST = 11;
const MOST_BASE = 65_535 - LAST;

/** Ports of the processes that Millrace starts, from one base, so that a second stack needs one setting. */
export const portSettings = (basePort: number) => ({
  MILLRACE_PORT_BASE: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST_BASE, `must be at most ${MOST_BASE}, since the ${LAST} ports after it are used too`)
    .default(BASE_PORT)
    .describe('First of the ports below; they follow in order.'),
  MILLRACE_GATEWAY_PORT: port('The gateway’s HTTP API.', basePort),
  MILLRACE_WORKER_METRICS_PORT: port('Prometheus metrics of the worker.', basePort + 1),
  MILLRACE_TEMPORAL_PORT: port('Embedded Temporal, gRPC.', basePort + 2),
  MILLRACE_TEMPORAL_UI_PORT: port('Embedded Temporal UI.', basePort + 3),
  MILLRACE_REDIS_PORT: port('Embedded Redis for the state of runs.', basePort + 4),
  MILLRACE_TRITON_HTTP_PORT: port('Embedded Triton, HTTP.', basePort + 5),
  MILLRACE_TRITON_GRPC_PORT: port('Embedded Triton, gRPC.', basePort + 6),
  MILLRACE_TRITON_METRICS_PORT: port('Embedded Triton, metrics.', basePort + 7),
  MILLRACE_LLM_PORT: port('Embedded LLM server.', basePort + 8),
  MILLRACE_KSERVE_GRPC_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(basePort + 9)
    .describe(
      'gRPC port of the inference protocol (KServe v2), on the gateway’s address; REST is on the gateway’s port. 0 turns gRPC off.',
    ),
  MILLRACE_REDIS_INDEX_PORT: port('Embedded Redis for vector indexes.', basePort + 10),
  MILLRACE_REDIS_CACHE_PORT: port('Embedded Redis for the semantic cache.', basePort + LAST),
});
