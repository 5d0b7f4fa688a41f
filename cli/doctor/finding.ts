import { MillraceError, messageOf } from '../../pipelines/errors.js';

/**
 * Every finding by its id, which is stable: monitoring may count on it. The same id comes several times, once for each
 * thing it is about (`about`), and not at all where an earlier finding of the same server has failed.
 */
export const FINDINGS = {
  'settings.valid': 'every setting has a value of its kind',
  'settings.known': 'no variable looks like a setting and is none',
  'settings.files': 'files that settings name can be read',
  'settings.gateway': 'the gateway is not open to the network without authentication',
  'settings.models': 'the models file describes pools that connectors can serve',
  'pipelines.placed': 'every pipeline is valid and has a pool for each of its models',
  'temporal.reachable': 'Temporal answers',
  'temporal.key': 'an API key for Temporal travels over TLS, or stays on this machine',
  'temporal.namespace': 'the namespace exists',
  'temporal.attributes': 'the search attributes that runs carry are registered',
  'temporal.worker': 'a worker takes tasks of the task queue',
  'temporal.code': 'workers have the functions of the pipelines, in their versions',
  'redis.reachable': 'Redis answers',
  'redis.writable': 'Redis takes writes',
  'redis.vectors': 'Redis has vector sets',
  'redis.eviction': 'Redis evicts nothing that must stay',
  'redis.memory': 'Redis has room',
  'redis.persistence': 'Redis keeps its data over a restart',
  'pool.reachable': 'an endpoint answers',
  'pool.model': 'an endpoint has the model',
  'pool.canary': 'a real call of the model succeeds, in good time',
  'pool.key': 'a key travels over TLS, or stays on this machine',
  'pool.agreement': 'the endpoints of a pool have the same model',
  'media.ffmpeg': 'ffmpeg is there, for media other than WAV',
  'artifacts.writable': 'the folder of artifacts can be written',
  'artifacts.space': 'the folder of artifacts has room',
  'clock.skew': 'this machine and Redis have the same time',
} as const;

export type FindingId = keyof typeof FINDINGS;

export interface Finding {
  readonly id: FindingId;
  /** What it is about: a setting, an address, `<pool> at <endpoint>`. */
  readonly about: string;
  /** `warn`: works, but not as well or not as safely as it could. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; with every `warn` and `fail`. */
  readonly remedy?: string;
  /** How long the call took that the finding rests on, in milliseconds. */
  readonly ms?: number;
}

/** Something to look at. What `run` throws is a failed finding with this id. */
export interface Check {
  readonly id: FindingId;
  readonly about: string;
  /** What to do when it cannot be carried out. */
  readonly remedy: string;
  /** Ends when the signal aborts, and leaves nothing that keeps the process alive. */
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

/** A finding as one expression: `pass('redis.reachable', about, 'Redis 8.2.3')`. */
export const pass = (id: FindingId, about: string, detail: string, ms?: number): Finding => ({
  id,
  about,
  state: 'ok',
  detail,
  ...(ms !== undefined && { ms: Math.round(ms) }),
});

export const warn = (id: FindingId, about: string, detail: string, remedy: string): Finding => ({
  id,
  about,
  state: 'warn',
  detail,
  remedy,
});

export const fail = (id: FindingId, about: string, detail: string, remedy: string): Finding => ({
  id,
  about,
  state: 'fail',
  detail,
  remedy,
});

/** What was thrown, for a person: the code with the message, without the empty note that gRPC ends its own with. */
export function told(error: unknown): string {
  const message = messageOf(error).replace(/\s*Resolution note:\s*$/, '');
  return error instanceof MillraceError ? `${error.code}: ${message}` : message;
}
