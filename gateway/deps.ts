import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Answers } from '../activities/answers/index.js';
import type { ArtifactStore } from '../activities/artifacts/index.js';
import type { ResumableRecords } from '../activities/records/index.js';
import type { RunEventReader } from '../activities/run-events/index.js';
import type { WebhookConfig } from '../activities/webhooks/index.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import type { Placement, Plan } from '../pipelines/plan/index.js';
import type { Authenticator } from './access/authenticator.js';
import type { Admission } from './admission/index.js';
import type { Readiness } from './readiness.js';
import type { FastPath } from './runs/guarded-start.js';
import type { Places } from './runs/places.js';
import type { RunEnds } from './runs/run-ends.js';

/** All that the gateway needs from outside; whoever composes it owns and closes these. */
export interface GatewayParts {
  /** Who callers are. Absent: whoever reaches the gateway from this machine. */
  readonly authenticator?: Authenticator;
  readonly pipelines: readonly Pipeline[];
  /** Which runs may start. Absent: all. */
  readonly admission?: Pick<Admission, 'admit'>;
  /** Where a run's stages will run. Throws `MODEL_NOT_CONFIGURED`. */
  placementOf(plan: Plan): Placement;
  readonly temporal: Client;
  /** Task queue of the workflows. */
  readonly taskQueue: string;
  readonly artifacts: ArtifactStore;
  /** The shortcut for results of which somebody waits; absent, they come from Temporal. */
  readonly answers?: Pick<Answers, 'channel' | 'expect' | 'outcome'>;
  /** Absent: every run goes through Temporal. */
  readonly fast?: FastPath | undefined;
  /** The record of runs, from which those that have failed are resumed. Absent: none is. */
  readonly records?: ResumableRecords;
  /** What running stages tell. */
  readonly events: Pick<RunEventReader, 'follow'>;
  /** Who is told of runs' ends; absent, nobody. */
  readonly webhooks?: WebhookConfig;
  /** What the gateway looks at to say that it is ready, by the name that it is told by. */
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  readonly limits: GatewayLimits;
  /** Base URL at which callers reach the gateway; absent where that is what they call. */
  readonly publicUrl?: string | undefined;
  /** ffmpeg, which makes audio of other formats: a path, or a name on PATH, where the default is `ffmpeg`. */
  readonly ffmpeg?: string;
  /** The page of a run in the Temporal UI. `runId` is Temporal's, one execution of the workflow; without it, the latest. */
  uiUrl(workflowId: string, runId?: string): string;
  /** Where the inference protocol is served by gRPC; absent: nowhere. */
  readonly grpc?: { readonly host: string; readonly port: number };
  /** Millrace's own release. */
  readonly release?: string;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** What its routes work with. */
export interface GatewayDeps extends GatewayParts {
  /** Where all learn that a run has ended. */
  readonly ends: RunEnds;
  readonly ready: Readiness;
  /** Of requests that wait for a run or follow it. */
  readonly places: Places;
}

export interface ReadinessCheck {
  /** Whether the gateway is of no use without it. Otherwise its failure makes the gateway `degraded`. */
  readonly critical: boolean;
  /** Throws when the part cannot be used; the message of a `MillraceError` is told to anybody. */
  check(): Promise<void>;
}

export interface GatewayLimits {
  /** Largest media file. */
  readonly maxAudioBytes: number;
  /** Largest JSON body, and largest text part of a multipart body. */
  readonly maxJsonBytes: number;
  /** Requests that wait for a run or follow it at once, of all callers. Absent: 4,000. */
  readonly maxStreams?: number;
  /** The same of one tenant. Absent: 1,000. */
  readonly maxStreamsOfTenant?: number;
  /** Long polls of Temporal at once, for the ends of runs. Absent: 256. */
  readonly longPolls?: number;
  /** Bytes of requests’ bodies that the process holds in memory, all doors together. Absent: no bound. */
  readonly maxBodyMemoryBytes?: number;
  /** The same of one tenant. Absent: no bound of its own. */
  readonly maxTenantBodyMemoryBytes?: number;
  /** Longest `Prefer: wait`. */
  readonly maxWaitMs: number;
  /** Longest time to receive one request. */
  readonly uploadTimeoutMs: number;
  /** Longest time to receive a request's headers, the first ones of a connection counted from its opening. Absent: Node's minute. */
  readonly headersTimeoutMs?: number;
  /** Connections at once, of all clients. Absent: no bound. */
  readonly maxConnections?: number;
  /** Connections at once of one address. Absent: no bound. */
  readonly maxConnectionsPerAddress?: number;
}
