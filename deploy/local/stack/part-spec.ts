/** The parts of a stack: the servers, of them a Redis for each role (`redis` is the one for state), and the two processes of Millrace itself. */
export const SERVER_PARTS = ['temporal', 'redis', 'redis-index', 'redis-cache', 'triton', 'llm'] as const;
/** The servers that are a Redis, all of one program. */
export const REDIS_PARTS = ['redis', 'redis-index', 'redis-cache'] as const;
export type RedisPartName = (typeof REDIS_PARTS)[number];
export const NODE_PARTS = ['worker', 'gateway'] as const;
export type PartName = (typeof SERVER_PARTS)[number] | (typeof NODE_PARTS)[number];

export interface PartPort {
  readonly port: number;
  /** The setting that moves it, for the message when the port is taken. */
  readonly setting: string;
}

/** How the supervisor asks a part whether it is ready. */
export type Probe =
  /** Ready when this URL answers 200; any other answer means alive but not ready. */
  | { readonly kind: 'http'; readonly url: string }
  /** Ready when the server on this port answers PONG to PING. */
  | { readonly kind: 'redis'; readonly port: number };

/**
 * Everything the supervisor needs to run a part, as plain JSON: it knows nothing else about Temporal, Triton or
 * Python. It holds no secrets: settings reach the supervisor through its own environment.
 */
export interface PartSpec {
  readonly name: PartName;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to what is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** `all` hands the supervisor's environment on; `basics` only PATH, HOME and the like, so that no key reaches a server. */
  readonly inherit: 'all' | 'basics';
  /** Log file; it takes stdout and stderr. */
  readonly log: string;
  /** Parts that must be ready before the first start. A restart does not wait for them. */
  readonly needs: readonly PartName[];
  readonly ports: readonly PartPort[];
  /** For people: the program that it runs, or uses, where several could be meant, and why this one. */
  readonly program?: string;
  /** Where its clients find it, for people. */
  readonly address: string;
  readonly probe: Probe;
  /** A start that takes longer is killed and tried again, in milliseconds. */
  readonly startTimeoutMs: number;
  /** Time between SIGTERM and SIGKILL, in milliseconds. */
  readonly stopGraceMs: number;
  /** Files in /dev/shm that begin with this are the part's; those of a killed predecessor are removed before a start. */
  readonly sharedMemoryPrefix?: string;
}

export type PartState = 'waiting' | 'starting' | 'ready' | 'backoff' | 'stopping' | 'stopped' | 'external';
