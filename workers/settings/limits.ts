import { z } from 'zod';
import { bytes, ms } from './fields.js';

/** Limits of the gateway, and of each tenant. */
export const LIMIT_SETTINGS = {
  MILLRACE_MAX_AUDIO_BYTES: bytes(
    'Largest media file accepted: 64 MiB is an hour of 16-bit mono at 8 kHz.',
    64 * 1024 * 1024,
  ),
  MILLRACE_MAX_JSON_BYTES: bytes('Largest JSON body accepted; base64 media in it count.', 8 * 1024 * 1024),
  MILLRACE_MAX_BODY_MEMORY_BYTES: bytes(
    'Bytes of request bodies that the gateway holds in memory at once, over all doors; media streamed to disk do not count. Requests above it are rejected as `BODY_MEMORY_FULL`. Default: three tenants at their limit.',
    256 * 1024 * 1024,
  ),
  MILLRACE_TENANT_BODY_MEMORY_BYTES: bytes(
    'The same for one tenant. Default: the largest message of the inference protocol, which is a media file plus a JSON body, and some more.',
    80 * 1024 * 1024,
  ),
  MILLRACE_MAX_RESPONSE_MEMORY_BYTES: bytes(
    'Bytes of responses that the gateway holds in memory at once until their clients have read them, over all doors; parts up to 16 KiB do not count. Responses above it are rejected as `BODY_MEMORY_FULL`. Default: three tenants at their limit.',
    384 * 1024 * 1024,
  ),
  MILLRACE_TENANT_RESPONSE_MEMORY_BYTES: bytes(
    'The same for one tenant. A response that is its only one is not rejected, whatever its size. Default: two of the largest, media of 64 MiB.',
    128 * 1024 * 1024,
  ),
  MILLRACE_MAX_WAIT_MS: ms(
    'Longest `Prefer: wait`: below the 60 s after which proxies commonly close an idle connection.',
    55_000,
  ),
  MILLRACE_TENANT_RATE: z.coerce
    .number()
    .min(0)
    .max(100_000)
    .default(100)
    .describe(
      'Requests per second of a tenant named by a key, a token or a proxy; 0: no limit. Above what a person or a service needs, low enough to stop a runaway loop.',
    ),
  MILLRACE_TENANT_RUNS: z.coerce
    .number()
    .int()
    .min(0)
    .default(1_000)
    .describe('Concurrent runs of such a tenant; 0: no limit. Each is an open workflow in Temporal and on a worker.'),
  MILLRACE_TENANT_ARTIFACT_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(32 * 1024 ** 3)
    .describe(
      'Bytes of media that a tenant may keep in the artifact store, where each counts as 16 KiB or more; 0: no limit. 32 GiB are 300 hours of 16-bit mono at 16 kHz. Must be equal for gateway and workers.',
    ),
  MILLRACE_TENANT_PASSAGES: z.coerce
    .number()
    .int()
    .min(0)
    .default(200_000)
    .describe(
      'Passages that a tenant may keep in all its vector indexes; 0: no limit. 200 000 of 384 dimensions take some 220 MB of Redis plus their texts.',
    ),
  MILLRACE_TENANT_PASSAGE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(1024 ** 3)
    .describe('Bytes of texts, metadata and vectors that a tenant may keep in all its vector indexes; 0: no limit.'),
  MILLRACE_TENANT_SESSIONS: z.coerce
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe(
      'Sessions that a tenant’s agents may keep, and users whom they may remember, until they expire; 0: no limit.',
    ),
  MILLRACE_TENANT_SESSION_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(256 * 1024 ** 2)
    .describe(
      'Total bytes of a tenant’s sessions and remembered facts; 0: no limit. They share the state store with the journals of all runs.',
    ),
  MILLRACE_TENANT_CACHE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(256 * 1024 ** 2)
    .describe(
      'Bytes of a tenant’s answers that the caches store per hour; further answers are returned but not cached, so that one tenant does not evict the entries of others. 0: no limit.',
    ),
  MILLRACE_CALLER_CACHE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(64 * 1024 ** 2)
    .describe(
      'The same for each API key or user: a quarter of what its tenant may, so that one caller does not fill what all callers share. 0: no limit.',
    ),
  MILLRACE_TENANT_CACHE_HELD_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(128 * 1024 ** 2)
    .describe(
      'Bytes that all cached answers and embeddings of a tenant may take at once, half of the embedded store’s; beyond it those worth least are removed. 0: no limit but the store’s.',
    ),
  MILLRACE_DISK_RESERVE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(1024 ** 3)
    .describe(
      'Bytes of disk that uploads keep free, and with them some of its inodes, so that running stages can still write; workers keep a quarter of it free. 0: none.',
    ),
  MILLRACE_TENANT_STREAMS: z.coerce
    .number()
    .int()
    .min(1)
    .default(1_000)
    .describe(
      'Requests of a tenant that wait for a run or follow it at once, per gateway, over all doors: as many as its concurrent runs.',
    ),
  MILLRACE_MAX_STREAMS: z.coerce
    .number()
    .int()
    .min(1)
    .default(4_000)
    .describe('The same for all tenants together; each costs a socket and some 50 kB.'),
  MILLRACE_LONG_POLLS: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000)
    .default(256)
    .describe(
      'Concurrent long polls of Temporal by which a gateway waits for the ends of runs, one per run and at most three quarters for one tenant; other runs are polled in turn. A Temporal frontend accepts 1,200 per namespace from all gateways and workers.',
    ),
  MILLRACE_SHED: z
    .enum(['yes', 'whole-queue', 'no'])
    .default('yes')
    .describe(
      'Whether runs are rejected as `OVERLOADED` if Temporal’s queues would take too much of their deadline, batch first. `yes` counts the tasks ahead of the tenant’s own, since tenants take turns; `whole-queue` counts all tasks, for a Temporal whose fairness is off.',
    ),
  MILLRACE_UPLOAD_TIMEOUT_MS: ms('Longest time to receive one request.', 120_000),
  MILLRACE_HEADERS_TIMEOUT_MS: ms(
    'Longest time to receive a request’s headers, and longest idle time of a new connection: a client on a bad line needs a second or two.',
    10_000,
  ),
  MILLRACE_MAX_CONNECTIONS: z.coerce
    .number()
    .int()
    .positive()
    .default(4_096)
    .describe('Concurrent connections to the gateway; each costs some 10 KB and a file descriptor.'),
  MILLRACE_MAX_CONNECTIONS_PER_ADDRESS: z.coerce
    .number()
    .int()
    .positive()
    .default(1_024)
    .describe(
      'Concurrent connections of one address: below the total, so that one client cannot lock out the others. Behind a proxy (`MILLRACE_PROXY_AUTHENTICATES=yes`, or an https `MILLRACE_PUBLIC_URL`), from which all connections come, the default is `MILLRACE_MAX_CONNECTIONS`.',
    ),
};
