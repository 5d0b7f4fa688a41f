import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * The options of a bench, as `parseArgs` reads them. `--help` prints them and ends the program; an option that the bench does not have ends it with
 * status 2, the reason and the same list.
 */
export function parseOptions<Config extends ParseArgsConfig>(config: Config): ReturnType<typeof parseArgs<Config>> {
  if (process.argv.slice(2).includes('--help')) {
    process.stdout.write(`${usageOf(config)}\n`);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    if (!isUsageError(error)) throw error;
    process.stderr.write(`${error.message}\n${usageOf(config)}\n`);
    process.exit(2);
  }
}

function usageOf({ options = {}, allowPositionals }: ParseArgsConfig): string {
  const words = Object.entries(options).map(([name, option]) => `[--${name}${placeholderOf(option)}]`);
  if (allowPositionals) words.push('[FILE …]');
  return [
    `npm run ${process.env.npm_lifecycle_event ?? 'bench'} -- ${words.join(' ')}`,
    'What it measures: docs/benchmarks.md',
  ].join('\n');
}

function placeholderOf({ type, default: usual }: NonNullable<ParseArgsConfig['options']>[string]): string {
  if (type === 'boolean') return '';
  return usual === undefined || String(usual) === '' ? ' VALUE' : ` ${usual}`;
}

const isUsageError = (error: unknown): error is Error =>
  error instanceof Error && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_');
