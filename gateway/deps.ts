import type { Logger } from 'pino';
import type { AudioEncoder } from '../media/index.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import type { CachedBy } from '../pipelines/run/index.js';
import type { RunDeps, RunLimits, RunParts } from '../runs/deps.js';
import type { RunList } from '../runs/list/index.js';
import type { ArtifactStore } from '../stores/artifacts/index.js';
import type { Callbacks } from '../stores/callbacks/index.js';
import type { ChannelLog } from '../stores/channels/index.js';
import type { FactStore, SessionStore } from '../stores/sessions/index.js';
import type { Authenticator } from './access/authenticator.js';
import type { Door } from './doors/door.js';
import type { Readiness, ReadinessCheck } from './readiness.js';

/** External dependencies of the gateway; the composing code owns and closes them. */
export interface GatewayParts extends RunParts {
  /** Absent: callers on this machine are trusted without authentication. */
  readonly authenticator?: Authenticator;
  readonly pipelines: readonly Pipeline[];
  /** Protocols from outside. Absent: none. */
  readonly doors?: readonly Door[];
  readonly artifacts: ArtifactStore;
  /** Channels of runs under way, whose audio can be heard while it is made. Absent: only that of ended runs. */
  readonly channels?: ChannelLog;
  /** Where conversations are kept. Absent: there are none. */
  readonly sessions?: Pick<SessionStore, 'load' | 'add' | 'erase'> & Partial<Pick<SessionStore, 'bytesOf'>>;
  /** What agents remember of users. */
  readonly facts?: Pick<FactStore, 'list' | 'remove' | 'erase'>;
  /** Takes reports of wrong cached answers; false if the answer had gone. Absent: such reports are refused. */
  readonly cache?: { reportWrong(tenant: string, by: CachedBy): Promise<boolean> };
  /** Takes calls of servers that have ended a job. Absent: there is no such route. */
  readonly callbacks?: Pick<Callbacks, 'arrive'>;
  /** Secret of what clients keep for the gateways, the same at each. Absent: one of this process, until it ends. */
  readonly clientSecret?: () => Promise<Buffer>;
  /** The checks of `/readyz`, by the name in its response. */
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  readonly limits: GatewayLimits;
  /** Base URL at which callers reach the gateway. Absent: that of the request. */
  readonly publicUrl?: string | undefined;
  /** Origins whose pages may read responses, such as `https://app.example`. Absent: none but the gateway’s own. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** The ffmpeg program, which encodes audio: a path, or a name on PATH. Default: `ffmpeg`. */
  readonly ffmpeg?: string;
  /** Address of the gRPC listener of the inference protocol. Absent: no gRPC. */
  readonly grpc?: { readonly host: string; readonly port: number };
  /** Millrace's release. */
  readonly release?: string;
  readonly logger: Logger;
}

/** Dependencies of the routes. */
export interface GatewayDeps extends GatewayParts, RunDeps {
  readonly ready: Readiness;
  readonly list: RunList;
  readonly encoder: AudioEncoder;
  readonly limits: GatewayLimits;
  readonly logger: Logger;
}

export interface GatewayLimits extends RunLimits {
  /** Largest media file. */
  readonly maxAudioBytes: number;
  /** Origins whose addresses callers may send in place of media, such as `https://images.example`. Absent: none. */
  readonly mediaOrigins?: readonly string[] | undefined;
  /** Largest JSON body, and largest text part of a multipart body. */
  readonly maxJsonBytes: number;
  /** Most bytes of request bodies that the process holds in memory, over all doors. Absent: unlimited. */
  readonly maxBodyMemoryBytes?: number;
  /** The same per tenant. Absent: unlimited. */
  readonly maxTenantBodyMemoryBytes?: number;
  /** Most bytes of responses that the process holds until their clients have read them, over all doors. Absent: unlimited. */
  readonly maxResponseMemoryBytes?: number;
  /** The same per tenant. Absent: unlimited. */
  readonly maxTenantResponseMemoryBytes?: number;
  /** How long a client may read nothing of what is ready for it, in milliseconds. Absent: a minute. */
  readonly stalledMs?: number;
  /** Longest `Prefer: wait`. */
  readonly maxWaitMs: number;
  /** Timeout for receiving a request. */
  readonly uploadTimeoutMs: number;
  /**
   * Timeout for receiving a request's headers; of the first request on a connection it starts when the connection
   * opens. Absent: Node's default of one minute.
   */
  readonly headersTimeoutMs?: number;
  /** Most open connections. Absent: unlimited. */
  readonly maxConnections?: number;
  /** Most open connections per address. Absent: unlimited. */
  readonly maxConnectionsPerAddress?: number;
}
