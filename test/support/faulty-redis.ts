import type { Redis } from 'ioredis';
import { scripted } from './scripted.js';

/**
 * A Redis that fails at a chosen command: what a test cannot make a real one do. Everything else answers as an empty
 * Redis without vector sets would, or as `replyTo` says. `sent` has the commands of the caches, their scripts by what these do.
 */
export function faultyRedis(
  fails: (command: string) => boolean,
  replyTo: (command: string) => unknown = () => undefined,
): { redis: Redis; sent: string[] } {
  const sent: string[] = [];
  const answer = (command: string, reply: unknown) => async () => {
    sent.push(command);
    if (fails(command)) throw new Error(`${command} failed`);
    return replyTo(command) ?? reply;
  };
  const unknown = () => {
    const error = new Error('ERR unknown command');
    error.name = 'ReplyError';
    return Promise.reject(error);
  };
  const evaluate = (script: string) =>
    answer(
      script.includes("'NX'")
        ? 'claim'
        : script.includes('not kept')
          ? 'sendOff'
          : script.includes('PTTL')
            ? 'copy'
            : script.includes("'SET'")
              ? 'store'
              : 'release',
      1,
    )();
  const redis = {
    on: () => redis,
    info: answer('info', ''),
    call: unknown,
    mget: answer('mget', []),
    set: answer('mark', 'OK'),
    ...scripted(evaluate),
  };
  return { redis: redis as unknown as Redis, sent };
}
