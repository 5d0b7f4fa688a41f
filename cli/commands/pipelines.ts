import type { Command } from 'commander';
import type { ExplainOptions } from '../explain.js';
import type { GraphOptions } from '../graph.js';
import { EXIT } from '../output.js';
import type { TypesOptions } from '../types/index.js';
import type { ValidateOptions } from '../validate.js';
import type { LoadSettings } from './load-settings.js';

/** Commands on the sources of pipelines. No server is needed. */
export function pipelineCommands(cli: Command, settings: LoadSettings): void {
  cli
    .command('init')
    .description('write a project: configuration, two pipelines, a test, a models file')
    .argument('[folder]', 'an empty folder, or one that does not exist', '.')
    .action(async (folder: string) => (await import('../init/index.js')).init(folder));
  cli
    .command('validate')
    .description(`check pipelines without a server; exit ${EXIT.failed} if one is invalid`)
    .argument('[module]', 'module that exports them; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--plan <file>', 'a plan as JSON instead of a module')
    .option('--json', 'as one JSON object')
    .action(async (module: string | undefined, options: ValidateOptions) =>
      (await import('../validate.js')).validate(await settings(), module, options),
    );
  cli
    .command('graph')
    .description('draw a pipeline')
    .argument('<pipeline>', 'its name')
    .option('--module <file>', 'module that exports it; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--format <format>', 'mermaid or svg', 'mermaid')
    .option('--out <file>', 'write it to this file')
    .action(async (name: string, options: GraphOptions) =>
      (await import('../graph.js')).graph(await settings(), name, options),
    );
  cli
    .command('explain')
    .description('show what serves each stage of a pipeline, and what differs from the defaults')
    .argument('<pipeline>', 'its name')
    .option('--module <file>', 'module that exports it; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--all', 'every value of its policy, defaults included')
    .option('--json', 'as one JSON object, with every value')
    .action(async (name: string, options: ExplainOptions) =>
      (await import('../explain.js')).explainPipeline(await settings(), name, options),
    );
  cli
    .command('types')
    .description('write a TypeScript module for Python stages, from what "python -m millrace manifest" prints')
    .argument('<manifest>', 'the manifest; "-" reads standard input')
    .option('--out <file>', 'write it to this file')
    .action(async (file: string, options: TypesOptions) =>
      (await import('../types/index.js')).writeTypes(file, options),
    );
}
