import type { Logger } from 'pino';
import type { Pipeline } from '../pipelines/definition/index.js';
import type { RunDeps, RunLimits, RunParts } from '../runs/deps.js';
import type { RunList } from '../runs/list/index.js';
import type { ArtifactStore } from '../stores/artifacts/index.js';
import type { Authenticator } from './access/authenticator.js';
import type { Readiness, ReadinessCheck } from './readiness.js';

/** All that the gateway needs from outside; whoever composes it owns and closes these. */
export interface GatewayParts extends RunParts {
  /** Who callers are. Absent: whoever reaches the gateway from this machine. */
  readonly authenticator?: Authenticator;
  readonly pipelines: readonly Pipeline[];
  readonly artifacts: ArtifactStore;
  /** What the gateway looks at to say that it is ready, by the name that it is told by. */
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  readonly limits: GatewayLimits;
  /** Base URL at which callers reach the gateway; absent where that is what they call. */
  readonly publicUrl?: string | undefined;
  /** ffmpeg, which makes audio of other formats: a path, or a name on PATH, where the default is `ffmpeg`. */
  readonly ffmpeg?: string;
  /** Where the inference protocol is served by gRPC; absent: nowhere. */
  readonly grpc?: { readonly host: string; readonly port: number };
  /** Millrace's own release. */
  readonly release?: string;
  readonly logger: Logger;
}

/** What its routes work with. */
export interface GatewayDeps extends GatewayParts, RunDeps {
  readonly ready: Readiness;
  readonly list: RunList;
  readonly limits: GatewayLimits;
  readonly logger: Logger;
}

export interface GatewayLimits extends RunLimits {
  /** Largest media file. */
  readonly maxAudioBytes: number;
  /** Largest JSON body, and largest text part of a multipart body. */
  readonly maxJsonBytes: number;
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
