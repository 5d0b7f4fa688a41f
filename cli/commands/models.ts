import type { Command } from 'commander';
import { asNames } from '../arguments.js';
import type { DiscoverCommandOptions } from '../models.js';
import type { LoadSettings } from './load-settings.js';

/** Commands about the models file. */
export function modelCommands(cli: Command, settings: LoadSettings): void {
  const models = cli.command('models').description('the models file');
  models
    .command('discover')
    .description('detect what a server is and which models it has, and write pools for them')
    .argument('<url>', 'its base URL')
    .option('--model <name>', 'a model that the server has but does not list; may be repeated', asNames, [])
    .option('--key-env <name>', 'environment variable that holds its key')
    .option('--device <label>', 'label of the device behind it', 'server')
    .option('--write <file>', 'add the pools to this models file; pools that it has stay as they are')
    .option('--json', 'as one JSON object')
    .action(async (url: string, options: DiscoverCommandOptions) =>
      (await import('../models.js')).discoverModels(await settings(), url, options),
    );
}
