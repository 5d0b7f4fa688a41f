import { type Command, InvalidArgumentError } from 'commander';
import { asCount, asMs, asNames } from '../arguments.js';
import type { PruneCommandOptions } from '../artifacts.js';
import type { CacheOptions, InspectOptions } from '../cache.js';
import type { DeleteOptions, IndexOptions, SearchOptions } from '../index-command.js';
import type { LoadSettings } from './load-settings.js';

/** Commands on what the stores hold: media, cached answers, passages. */
export function storeCommands(cli: Command, settings: LoadSettings): void {
  artifactCommands(cli.command('artifacts').description('media in the artifact store'), settings);
  cacheCommands(
    cli.command('cache').description('show what the caches serve, and why a text does not hit; clear them'),
    settings,
  );
  indexCommands(cli.command('index').description('fill, search and delete a vector index'), settings);
}

function artifactCommands(artifacts: Command, settings: LoadSettings): void {
  artifacts
    .command('prune')
    .description('remove media that were not stored or read for some time; a run that still needs them fails')
    .requiredOption('--older-than <time>', 'time since their last use, such as 30d', asMs)
    .option('--tenant <name>', 'only this tenant’s; default: all tenants’')
    .option('--dry-run', 'count them, remove nothing')
    .option('--json', 'as one JSON object')
    .action(async (options: PruneCommandOptions) =>
      (await import('../artifacts.js')).pruneStore(await settings(), options),
    );
}

function cacheCommands(cache: Command, settings: LoadSettings): void {
  cache
    .command('report')
    .description(
      'show what the caches of a tenant store and save, and error rates and thresholds of stages with a maxErrorRate',
    )
    .option('--tenant <name>', 'tenant of the stages', 'default')
    .option('--json', 'print one JSON object')
    .action(async (options: CacheOptions) => (await import('../cache.js')).reportCache(await settings(), options));
  cache
    .command('inspect')
    .description('show the cached texts nearest to a text, and why they do not hit')
    .argument('<text>', 'a text as a stage would look it up')
    .option('--tenant <name>', 'tenant of the texts', 'default')
    .option('--embedder <model>', 'the pool that embeds', 'minilm')
    .option('--json', 'print one JSON object')
    .action(async (text: string, options: InspectOptions) =>
      (await import('../cache.js')).inspectCache(await settings(), text, options),
    );
  cache
    .command('clear')
    .description('remove all answers and embeddings that are cached for a tenant; calls under way store theirs later')
    .requiredOption('--tenant <name>', 'tenant of the stages; "default" without keys')
    .option('--json', 'print one JSON object')
    .action(async (options: CacheOptions) => (await import('../cache.js')).clearCaches(await settings(), options));
}

function indexCommands(index: Command, settings: LoadSettings): void {
  index
    .command('put')
    .description('store passages in an index; one with the same id is replaced')
    .argument('<index>', 'name of the index; created if it does not exist')
    .argument('<file>', 'JSON Lines: {"id"?, "text", "metadata"?}, one passage per line')
    .option('--tenant <name>', 'tenant of the index', 'default')
    .option('--embedder <model>', 'the pool that embeds', 'minilm')
    .option('--json', 'print one JSON object')
    .action(async (name: string, file: string, options: IndexOptions) =>
      (await import('../index-command.js')).putPassages(await settings(), name, file, options),
    );
  index
    .command('search')
    .description('find the passages of an index nearest in meaning to a query')
    .argument('<index>', 'name of the index')
    .argument('<query>', 'search text')
    .option('--k <number>', 'number of passages, up to 1000', asCount, 4)
    .option('--min-score <number>', 'least cosine similarity, from -1 to 1', asCosine)
    .option('--tenant <name>', 'tenant of the index', 'default')
    .option('--embedder <model>', 'the pool that embeds; must be the one that the index was created with', 'minilm')
    .option('--json', 'print one JSON object')
    .action(async (name: string, query: string, options: SearchOptions) =>
      (await import('../index-command.js')).searchPassages(await settings(), name, query, options),
    );
  index
    .command('delete')
    .description('delete an index, or some of its passages; searches meanwhile find what is left')
    .argument('<index>', 'name of the index')
    .option('--id <id>', 'only the passage with this id; repeatable', asNames, [])
    .option('--tenant <name>', 'tenant of the index', 'default')
    .option('--json', 'print one JSON object')
    .action(async (name: string, options: DeleteOptions) =>
      (await import('../index-command.js')).deletePassages(await settings(), name, options),
    );
}

function asCosine(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= -1 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from -1 to 1.');
}
