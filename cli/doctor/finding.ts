import { MillraceError, messageOf } from '../../pipelines/errors.js';

/**
 * All findings by id. Ids are stable, so that monitoring can rely on them. An id may occur several times, once for each
 * subject (`about`), and is missing if an earlier finding of the same server has failed.
 */
export const FINDINGS = {
  'settings.valid': 'every setting has a value of its kind',
  'settings.known': 'no variable looks like a setting without being one',
  'settings.files': 'files named by settings are readable',
  'settings.gateway': 'the gateway is not open to the network without authentication',
  'oidc.issuer': 'the identity provider’s keys can be read, and are of the configured issuer',
  'settings.models': 'the models file describes pools that connectors can serve',
  'settings.sandboxes': 'the sandboxes file describes sandboxes that can be opened',
  'pipelines.placed': 'every pipeline is valid and has a pool for each of its models',
  'temporal.reachable': 'Temporal answers',
  'temporal.key': 'an API key for Temporal is sent over TLS, or stays on this machine',
  'temporal.namespace': 'the namespace exists',
  'temporal.attributes': 'the search attributes that runs carry are registered',
  'temporal.worker': 'a worker polls the task queue',
  'temporal.code': 'workers have the functions of the pipelines, in their versions',
  'temporal.foreign': 'workers poll the queues of the stages that other workers serve',
  'redis.reachable': 'Redis answers',
  'redis.writable': 'Redis accepts writes',
  'redis.vectors': 'Redis has vector sets',
  'redis.eviction': 'Redis does not evict data that must be kept',
  'redis.memory': 'Redis has free memory',
  'redis.persistence': 'Redis keeps its data across a restart',
  'pool.reachable': 'an endpoint answers',
  'pool.model': 'an endpoint has the model',
  'pool.tensors': 'the tensor map of a pool fits its model',
  'pool.shm': 'a pool that asks for shared memory with its server has it',
  'pool.canary': 'a real call of the model succeeds in time',
  'pool.key': 'a key is sent over TLS, or stays on this machine',
  'pool.agreement': 'the endpoints of a pool have the same model',
  'sandbox.reachable': 'a sandbox answers in each of its languages',
  'sandbox.call': 'the answer of a sandbox service is one that workers take',
  'sandbox.key': 'headers for a sandbox service are sent over TLS, or stay on this machine',
  'media.ffmpeg': 'ffmpeg is installed, for media other than WAV',
  'artifacts.writable': 'the artifacts folder is writable',
  'artifacts.space': 'the artifacts folder has free space',
  'clock.skew': 'this machine and Redis have the same clock',
} as const;

export type FindingId = keyof typeof FINDINGS;

export interface Finding {
  readonly id: FindingId;
  /** The subject: a setting, an address, `<pool> at <endpoint>`. */
  readonly about: string;
  /** `warn`: works, but not as well or not as safely as it could. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; present with every `warn` and `fail`. */
  readonly remedy?: string;
  /** Duration of the call that the finding is based on, in milliseconds. */
  readonly ms?: number;
}

/** A check. An error that `run` throws becomes a failed finding with this id. */
export interface Check {
  readonly id: FindingId;
  readonly about: string;
  /** What to do if the check cannot be carried out. */
  readonly remedy: string;
  /** Ends when the signal aborts, and leaves no handle that keeps the process alive. */
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

/** Creates a finding: `pass('redis.reachable', about, 'Redis 8.2.3')`. */
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

/** An error as text: its code and message, without the empty suffix of gRPC's messages. */
export function errorText(error: unknown): string {
  const message = messageOf(error).replace(/\s*Resolution note:\s*$/, '');
  return error instanceof MillraceError ? `${error.code}: ${message}` : message;
}
