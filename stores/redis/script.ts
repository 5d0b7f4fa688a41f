import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';

type Argument = string | number | Buffer;
type Command = (keys: number, ...keysAndArguments: readonly Argument[]) => Promise<unknown>;

let defined = 0;

type Script<Keys, Arguments extends readonly Argument[], Reply> = ((
  redis: Redis,
  keys: Keys,
  ...args: Arguments
) => Promise<Reply>) & {
  /** Its text. */
  readonly lua: string;
};

/**
 * A Redis Lua script as a function. Each connection sends the text once and its hash from then on. If the server has
 * lost the text (`SCRIPT FLUSH`) it is sent again, after commands that were sent in the meantime. The call rejects with
 * Redis' error, and with `INTERNAL` if its keys are not in one slot of a Redis Cluster, which a single server would not
 * detect.
 *
 * @typeParam Reply type of the script's reply, not checked
 */
export function script<Keys extends readonly string[], Arguments extends readonly Argument[], Reply>(
  lua: string,
): Script<Keys, Arguments, Reply> {
  defined += 1;
  const name = `script${defined}`;
  const run = async (redis: Redis, keys: Keys, ...args: Arguments): Promise<Reply> => {
    requireOneSlot(keys);
    const client = redis as unknown as Record<string, Command>;
    if (client[name] === undefined) redis.defineCommand(name, { lua });
    return (await client[name]?.(keys.length, ...keys, ...args)) as Reply;
  };
  return Object.assign(run, { lua });
}

function requireOneSlot(keys: readonly string[]): void {
  const [first = '', ...others] = keys.map(hashedPart);
  if (others.every((other) => other === first)) return;
  throw new MillraceError('INTERNAL', `the keys of a script are in several slots: ${keys.join(', ')}`);
}

/** The part of a key that determines its slot: the content of its first braces, if any. */
const hashedPart = (key: string): string => /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;
