import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';

type Argument = string | number | Buffer;
type Command = (keys: number, ...keysAndArguments: readonly Argument[]) => Promise<unknown>;

let defined = 0;

/**
 * A Lua script of Redis as a function. Each connection sends the text once and its hash from then on. A server that has lost
 * the text (`SCRIPT FLUSH`) is sent it again, behind the commands that were sent in the meantime. The call rejects with what
 * Redis answers, and with `INTERNAL` where its keys are not of one slot of a Redis Cluster: a single server would not notice.
 *
 * @typeParam Reply what the script returns: it is not checked
 */
export function script<Keys extends readonly string[], Arguments extends readonly Argument[], Reply>(
  lua: string,
): (redis: Redis, keys: Keys, ...args: Arguments) => Promise<Reply> {
  defined += 1;
  const name = `script${defined}`;
  return async (redis, keys, ...args) => {
    requireOneSlot(keys);
    const client = redis as unknown as Record<string, Command>;
    if (client[name] === undefined) redis.defineCommand(name, { lua });
    return (await client[name]?.(keys.length, ...keys, ...args)) as Reply;
  };
}

function requireOneSlot(keys: readonly string[]): void {
  const [first = '', ...others] = keys.map(hashedPart);
  if (others.every((other) => other === first)) return;
  throw new MillraceError('INTERNAL', `a script has keys of several slots: ${keys.join(', ')}`);
}

/** The part of a key that decides on its slot: what stands in its first braces, if anything does. */
const hashedPart = (key: string): string => /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;
