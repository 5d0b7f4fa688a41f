/**
 * Names of a stack's parts: the servers, with a Redis per role (`redis` is that for state), and Millrace's two
 * processes.
 */
export const SERVER_PARTS = ['temporal', 'redis', 'redis-index', 'redis-cache', 'triton', 'llm'] as const;
/** The parts that run redis-server. */
export const REDIS_PARTS = ['redis', 'redis-index', 'redis-cache'] as const;
export type RedisPartName = (typeof REDIS_PARTS)[number];
export const NODE_PARTS = ['worker', 'gateway'] as const;
export type PartName = (typeof SERVER_PARTS)[number] | (typeof NODE_PARTS)[number];

/** Parts that serve others are stopped after those, so that running stages can finish. */
export const STOP_ORDER: readonly (readonly PartName[])[] = [['gateway'], ['worker'], SERVER_PARTS];

export interface PartPort {
  readonly port: number;
  /** The setting that changes the port, for the message when it is in use. */
  readonly setting: string;
}

/** How the supervisor checks whether a part is ready. */
export type Probe =
  /** Ready if this URL responds with 200; any other response means alive but not ready. */
  | { readonly kind: 'http'; readonly url: string }
  /** Ready if the server on this port responds to PING with PONG. */
  | { readonly kind: 'redis'; readonly port: number };

/** The files that identify what a part of Millrace's own runs. */
export interface PartCode {
  /** Folder of a build. */
  readonly folder: string;
  /** The module with the pipelines and the configuration file: each with the files that it imports. */
  readonly modules: readonly string[];
  readonly files: readonly string[];
}

/**
 * Everything the supervisor needs to run a part, as plain JSON: it knows nothing about Temporal, Triton or Python.
 * Contains no secrets: settings reach the supervisor through its environment.
 */
export interface PartSpec {
  readonly name: PartName;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the inherited environment. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * `all` passes on the supervisor's environment; `basics` only PATH, HOME and the like, so that no key reaches a
   * server.
   */
  readonly inherit: 'all' | 'basics';
  /** Log file for stdout and stderr. */
  readonly log: string;
  /** Parts that must be ready before the first start. Restarts do not wait for them. */
  readonly needs: readonly PartName[];
  readonly ports: readonly PartPort[];
  /** For display: the program that it runs or uses, if it may vary, and why it was chosen. */
  readonly program?: string;
  /** What it runs, if that may change while it runs; recorded at each start. */
  readonly code?: PartCode;
  /** Address for clients, for display. */
  readonly address: string;
  readonly probe: Probe;
  /** A start that takes longer is killed and repeated, in milliseconds. */
  readonly startTimeoutMs: number;
  /** Time between SIGTERM and SIGKILL, in milliseconds. */
  readonly stopGraceMs: number;
  /**
   * Files in /dev/shm with this prefix belong to the part; those of a killed predecessor are removed before a start.
   */
  readonly sharedMemoryPrefix?: string;
}

export type PartState = 'waiting' | 'starting' | 'ready' | 'backoff' | 'stopping' | 'stopped' | 'external';
