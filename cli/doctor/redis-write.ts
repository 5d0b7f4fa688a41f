import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import type { StoreRole } from '../../workers/stores.js';
import { type Finding, fail, pass, warn } from './finding.js';

/** Leaves nothing behind, also where the second command is not permitted. */
const WRITE = "redis.call('SET', KEYS[1], '1', 'PX', 10000) return redis.call('DEL', KEYS[1])";

/** Keys enough that no node of a Redis Cluster has the slots of all, unless it has all slots. */
const KEYS = Array.from({ length: 16 }, (_, i) => `millrace:doctor:${i}`);

const CHANNEL = 'millrace:doctor';

/** What to do about a refusal, by the word that Redis begins its error with. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /\b(MOVED|CROSSSLOT|CLUSTERDOWN|ASK)\b/,
    'use a server that has all keys: nodes of a Redis Cluster have a part of them each',
  ],
  [/\bREADONLY\b/, 'point {setting} at the primary'],
  [/\bMISCONF\b/, 'free its disk, or see its log: it refuses writes for as long as it cannot save them'],
  [/\bOOM\b/, 'raise maxmemory: its memory is full'],
  [/\bNOREPLICAS\b/, 'bring its replicas back, or lower min-replicas-to-write'],
  [
    /\bNOPERM\b|ACL failure|can't run this command/,
    'allow this user all commands on the keys ~millrace:* and the channels &millrace:*',
  ],
  [/\bLOADING\b/, 'wait until it has loaded its data'],
];

/**
 * Whether Redis carries out a write of each kind that Millrace makes: scripts, and messages for the state of runs. A server may answer and
 * refuse them, such as one whose disk is full.
 */
export async function writeFinding(
  redis: Pick<Redis, 'eval' | 'publish'>,
  about: string,
  { setting, roles }: { readonly setting: string; readonly roles: readonly StoreRole[] },
): Promise<Finding> {
  try {
    await Promise.all(KEYS.map((key) => redis.eval(WRITE, 1, key)));
    if (roles.includes('state')) await redis.publish(CHANNEL, '');
    return pass('redis.writable', about, 'it accepts writes');
  } catch (error) {
    const text = messageOf(error);
    const remedy = REMEDIES.find(([pattern]) => pattern.test(text))?.[1].replace('{setting}', setting);
    const isFullCache = /\bOOM\b/.test(text) && roles.every((role) => role === 'cache');
    const state = isFullCache ? warn : fail;
    return state('redis.writable', about, `it refuses writes: ${text}`, remedy ?? 'read its log');
  }
}
