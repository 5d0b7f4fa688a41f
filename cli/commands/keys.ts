import { type Command, InvalidArgumentError } from 'commander';
import { asCount, asList } from '../arguments.js';
import type { CreateKeyOptions, LimitKeyOptions } from '../keys.js';
import type { LoadSettings } from './load-settings.js';

/** Commands on the gateway's API keys. */
export function keyCommands(cli: Command, settings: LoadSettings): void {
  const keys = cli.command('keys').description('API keys of the gateway, in the file named by MILLRACE_KEYS');
  keys
    .command('create')
    .description('create a key and print it; it cannot be shown again')
    .requiredOption('--tenant <name>', 'tenant of the key')
    .option('--name <text>', 'description, such as its user', '')
    .option('--owner <name>', 'owner of its sessions, shared by keys of the same owner; default: the key itself')
    .option('--pipelines <names>', 'only these, separated by commas; default: all', asList)
    .option('--permissions <names>', 'run, read, approve, metrics, separated by commas', asList, ['run', 'read'])
    .option('--rate <number>', 'requests per second of this key alone, instead of its tenant’s', asRate)
    .option('--runs <number>', 'most concurrent runs of this key', asCount)
    .option('--expires <time>', 'the key expires after this time, such as 90d; default: never')
    .option('--json', 'print the key and its id as one JSON object')
    .action(async (options: CreateKeyOptions) => (await import('../keys.js')).createKey(await settings(), options));
  keys
    .command('list')
    .description('list the keys (by id; the file has only hashes) and their permissions')
    .option('--json', 'as one JSON array')
    .action(async (options: { json?: boolean }) => (await import('../keys.js')).listKeys(await settings(), options));
  keys
    .command('limit')
    .description('replace the limits of an existing key within a second; an omitted limit is that of its tenant')
    .argument('<key>', 'its id, as listed by "millrace keys list" and in the gateway’s log')
    .option('--rate <number>', 'requests per second of this key alone', asRate)
    .option('--runs <number>', 'most concurrent runs of this key', asCount)
    .action(async (id: string, options: LimitKeyOptions) =>
      (await import('../keys.js')).limitKey(await settings(), id, options),
    );
  keys
    .command('revoke')
    .description('revoke a key')
    .argument('<key>', 'its id, as listed by "millrace keys list"')
    .option('--after <time>', 'revoke it only after this time, such as 1d')
    .action(async (id: string, options: { after?: string }) =>
      (await import('../keys.js')).revokeKey(await settings(), id, options),
    );
}

function asRate(text: string): number {
  const rate = Number(text);
  if (rate > 0 && rate <= 100_000) return rate;
  throw new InvalidArgumentError('It must be a number above 0.');
}
