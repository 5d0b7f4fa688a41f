#!/usr/bin/env node
import { Command, InvalidArgumentError } from 'commander';
import { ClientError } from '../client/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { loadSettings } from '../workers/config/load.js';

import type { ApplyCommandOptions } from './apply.js';
import { asCount, asMoment, asMs, asPairs } from './arguments.js';
import type { PruneCommandOptions } from './artifacts.js';
import type { CacheOptions, InspectOptions } from './cache.js';

import { demo } from './demo.js';
import type { ExplainOptions } from './explain.js';
import type { GraphOptions } from './graph.js';
import { importCommands } from './import-command.js';
import type { IndexOptions, SearchOptions } from './index-command.js';
import type { InventoryCommandOptions } from './inventory.js';
import type { CreateKeyOptions } from './keys.js';
import { complain, EXIT, note } from './output.js';
import type { PlaceCommandOptions } from './place.js';
import { placeOptions, replanOptions } from './place-options.js';
import type { ProfileCommandOptions } from './profile.js';
import { profileOptions } from './profile-options.js';
import type { ReplanCommandOptions } from './replan.js';
import { listPipelines, resumeRun, runPipeline } from './run.js';
import type { ListOptions } from './runs.js';
import { down, status, up } from './stack.js';
import type { TypesOptions } from './types/index.js';
import type { ValidateOptions } from './validate.js';
import { columnsOf, wrapped } from './wrap.js';

const HELP = `
Start here:
  millrace up                                start the servers, a worker and the gateway
  millrace pipelines                         what can be run, and with which input
  millrace run <pipeline> --input '{…}'      run one; --file <field>=<path> sends a file
  millrace status                            what runs where, and where its log is
  millrace down                              stop everything

Your own servers: set TEMPORAL_ADDRESS, REDIS_URL, TRITON_URL or LLM_BASE_URL and "up" does not start that part.
Your own pipelines: set MILLRACE_PIPELINES to a module that exports them.
Every setting is an environment variable; "millrace settings" lists them with their defaults.
Configuration: millrace.config.ts in this folder holds settings, and connectors and doors of your own.

Exit codes: ${EXIT.ok} done · ${EXIT.failed} the run or command failed · ${EXIT.usage} wrong usage or input · ${EXIT.unavailable} a needed server cannot be reached or started`;

/** The file of `--config`. */
let configFile: string | undefined;

const settings = () => loadSettings(process.env, configFile);

function program(): Command {
  const cli = new Command('millrace')
    .description('Runs inference pipelines that must not lose work.')
    .option('--config <file>', 'configuration file; default: MILLRACE_CONFIG, else millrace.config.ts in this folder')
    .hook('preAction', (root) => {
      configFile = root.opts<{ config?: string }>().config;
    })
    .showHelpAfterError('(millrace --help shows what there is)')
    .configureOutput({
      getOutHelpWidth: () => columnsOf(process.stdout),
      getErrHelpWidth: () => columnsOf(process.stderr),
    })
    .addHelpText('after', wrapped(HELP, columnsOf(process.stdout)))
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : Object.assign(error, { exitCode: EXIT.usage });
    });
  cli
    .command('up')
    .description('start the embedded stack or its missing parts; safe to repeat')
    .option('--servers-only', 'only Temporal, Redis, Triton and the LLM server: no worker, no gateway')
    .action(async (options: { serversOnly?: boolean }) => up(await settings(), options));
  cli
    .command('down')
    .description('stop everything that "up" started')
    .action(async () => down(await settings()));
  cli
    .command('status')
    .description(`show the parts, their pids, addresses and logs; exit ${EXIT.unavailable} unless all are ready`)
    .option('--json', 'as one JSON object')
    .action(async (options: { json?: boolean }) => status(await settings(), options));
  cli
    .command('worker')
    .description('run a worker in the foreground: workflows and stages')
    .action(async () => (await import('../workers/worker.js')).runWorker(await settings()));
  cli
    .command('gateway')
    .description('run the gateway in the foreground')
    .action(async () => (await import('../workers/gateway.js')).runGateway(await settings()));
  cli
    .command('run')
    .description('start a run at the gateway, watch it and print its result')
    .argument('<pipeline>', 'a name listed by "millrace pipelines"')
    .option('--input <json>', 'the input’s fields as a JSON object', asObject, {})
    .option('--file <field=path>', 'a file for a field: media, a text or JSON; may be repeated', asPairs, {})
    .option('--audio <file>', 'a file for the pipeline’s only audio field')
    .option('--out <folder>', 'folder for media in the output', '.')
    .option('--tenant <name>', 'the tenant to run as')
    .option(
      '--outputs <fields>',
      'only these output fields, separated by commas; stages that only other fields need do not run',
    )
    .option('--priority <priority>', 'interactive, default or batch')
    .option('--json', 'print the run as one JSON object')
    .action(async (name: string, options: Parameters<typeof runPipeline>[2]) =>
      runPipeline(await settings(), name, options),
    );
  cli
    .command('init')
    .description('write a project: configuration, two pipelines, a test, a models file')
    .argument('[folder]', 'an empty folder, or one that does not exist', '.')
    .action(async (folder: string) => (await import('./init/index.js')).init(folder));
  cli
    .command('resume')
    .description('resume a run that failed, was cancelled or timed out; stages that had completed are not repeated')
    .argument('<run>', 'the id of the ended run')
    .option('--repeat', 'repeat steps that had ended if their results are not in the record')
    .option('--out <folder>', 'folder for media in the output', '.')
    .option('--tenant <name>', 'the tenant of the run')
    .option('--json', 'print the run as one JSON object')
    .action(async (id: string, options: Parameters<typeof resumeRun>[2]) => resumeRun(await settings(), id, options));
  listCommand(cli.command('runs'));
  cli
    .command('pipelines')
    .description('list the pipelines that the gateway serves')
    .option('--json', 'with their JSON Schemas')
    .action(async (options: { json?: boolean }) => listPipelines(await settings(), options));
  cli
    .command('settings')
    .description('list every setting with its default and its reason')
    .action(async () => (await import('./settings.js')).listSettings());
  cli
    .command('demo')
    .description('set up the stack, ask a spoken question twice and show the runs')
    .option('--audio <file>', 'your own question (WAV) instead of the shipped one')
    .option('--keep', 'leave the stack running')
    .option('--json', 'print one line of JSON at the end')
    .action(async (options: Parameters<typeof demo>[1]) => demo(await settings(), options));
  cli
    .command('doctor')
    .description(`check settings, servers and models; exit ${EXIT.unavailable} if a server is unreachable`)
    .option('--json', 'as one JSON object')
    .action(async (options: { json?: boolean }) =>
      (await import('./doctor/index.js')).doctor({ ...options, config: configFile }),
    );
  cli
    .command('validate')
    .description(`check pipelines without a server; exit ${EXIT.failed} if one is invalid`)
    .argument('[module]', 'module that exports them; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--plan <file>', 'a plan as JSON instead of a module')
    .option('--json', 'as one JSON object')
    .action(async (module: string | undefined, options: ValidateOptions) =>
      (await import('./validate.js')).validate(await settings(), module, options),
    );
  cli
    .command('graph')
    .description('draw a pipeline')
    .argument('<pipeline>', 'its name')
    .option('--module <file>', 'module that exports it; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--format <format>', 'mermaid or svg', 'mermaid')
    .option('--out <file>', 'write it to this file')
    .action(async (name: string, options: GraphOptions) =>
      (await import('./graph.js')).graph(await settings(), name, options),
    );
  cli
    .command('explain')
    .description('show what serves each stage of a pipeline, and what differs from the defaults')
    .argument('<pipeline>', 'its name')
    .option('--module <file>', 'module that exports it; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--all', 'every value of its policy, defaults included')
    .option('--json', 'as one JSON object, with every value')
    .action(async (name: string, options: ExplainOptions) =>
      (await import('./explain.js')).explainPipeline(await settings(), name, options),
    );
  cli
    .command('types')
    .description('write a TypeScript module for Python stages, from what "python -m millrace manifest" prints')
    .argument('<manifest>', 'the manifest; "-" reads standard input')
    .option('--out <file>', 'write it to this file')
    .action(async (file: string, options: TypesOptions) =>
      (await import('./types/index.js')).writeTypes(file, options),
    );
  artifactCommands(cli.command('artifacts').description('media in the artifact store'));
  applyCommand(cli.command('apply'));
  keyCommands(cli.command('keys').description('API keys of the gateway, in the file named by MILLRACE_KEYS'));
  placeOptions(cli.command('place').description('decide where each stage runs, from files alone, and say why')).action(
    async (options: PlaceCommandOptions) => (await import('./place.js')).placePipelines(await settings(), options),
  );
  replanOptions(
    cli
      .command('replan')
      .description('measure the placement in force, report differences from its prediction, and propose another'),
  ).action(async (options: ReplanCommandOptions) =>
    (await import('./replan.js')).replanPlacement(await settings(), options),
  );
  cli
    .command('inventory')
    .description('write the devices of this machine, and the servers on it, to cluster.yaml')
    .option('--out <file>', 'the inventory; entries of other nodes are kept. "-" prints this node’s', 'cluster.yaml')
    .option('--node <name>', 'this machine’s name in it; default: its host name')
    .option('--nvidia-smi <program>', 'the program that lists GPUs', 'nvidia-smi')
    .option('--json', 'what was found as one JSON object')
    .action(async (options: InventoryCommandOptions) =>
      (await import('./inventory.js')).writeInventory(await settings(), options),
    );
  profileOptions(
    cli.command('profile').description('measure the latency of a pipeline’s models at their endpoints'),
  ).action(async (name: string, options: ProfileCommandOptions) =>
    (await import('./profile.js')).profilePipeline(await settings(), name, options),
  );
  importCommands(cli);
  cacheCommands(cli.command('cache').description('what the semantic cache serves, and why not'));
  indexCommands(cli.command('index').description('fill and search a vector index'));
  return cli;
}

function listCommand(runs: Command): void {
  runs
    .description('list runs: running ones, latest start first, then ended ones, latest end first')
    .option('--pipeline <name>', 'only runs of this pipeline')
    .option('--status <status>', 'running, succeeded, failed or cancelled')
    .option('--version <version>', 'only runs of this version of the plan')
    .option('--from <time>', 'started at this time or later: ISO 8601, or how long ago, such as 2h', asMoment)
    .option('--to <time>', 'started before this time, in the same form', asMoment)
    .option('--id <text>', 'start of the run’s id')
    .option('--limit <number>', 'number of runs, up to 100; default: 20', asCount)
    .option('--cursor <cursor>', 'continue after the previous page; the filters must be the same')
    .option('--tenant <name>', 'the tenant of the runs')
    .option('--json', 'one page as one JSON object')
    .action(async (options: ListOptions) => (await import('./runs.js')).listRuns(await settings(), options));
}

function artifactCommands(artifacts: Command): void {
  artifacts
    .command('prune')
    .description('remove media neither stored nor read for a time; a run that still needs them fails')
    .requiredOption('--older-than <time>', 'time since their last use, such as 30d')
    .option('--tenant <name>', 'only this tenant’s; default: all tenants’')
    .option('--dry-run', 'count them, remove nothing')
    .option('--json', 'as one JSON object')
    .action(async (options: PruneCommandOptions) =>
      (await import('./artifacts.js')).pruneStore(await settings(), options),
    );
}

function applyCommand(apply: Command): void {
  apply
    .description('write the configuration of Triton, vLLM and Kubernetes for a placement, and make it that of new runs')
    .argument('[placement]', 'the placement.json written by "millrace place"')
    .option('--cluster <file>', 'the cluster.yaml that it was made for')
    .option('--out <folder>', 'output folder, with a subfolder for each version', 'applied')
    .option('--triton-repository <folder>', 'models whose configurations are completed; their other files are linked')
    .option('--cpu-kinds <kinds>', 'device kinds that are CPUs, separated by commas', asList, ['cpu'])
    .option('--weights <model=path>', 'weights of a vLLM pool; may be repeated', asPairs, {})
    .option(
      '--tool-parser <model=name>',
      'parser for the tool calls of a vLLM pool’s model; may be repeated',
      asPairs,
      {},
    )
    .option(
      '--vllm-args <model=arguments>',
      'further arguments of a vLLM pool, e.g. "--quantization fp8"; they replace generated ones; may be repeated',
      asPairs,
      {},
    )
    .option('--speculative <model=json>', 'speculative decoding of a vLLM pool; may be repeated', asPairs, {})
    .option(
      '--image <server=image>',
      'image of triton, vllm or millrace in the manifests; may be repeated',
      asPairs,
      {},
    )
    .option('--gpu-resource <name>', 'resource name of GPUs in the manifests', 'nvidia.com/gpu')
    .option('--models-claim <name>', 'claim of the volume with Triton’s models in the manifests', 'millrace-models')
    .option('--weights-claim <name>', 'claim of the volume with vLLM’s weights in the manifests, mounted at /weights')
    .option('--artifacts-claim <name>', 'claim of the volume with the artifact store in the manifests')
    .option(
      '--when-ready <time>',
      'switch only when every server of it has answered calls, e.g. 10m; else change nothing',
      asMs,
    )
    .option('--rollback', 'restore the placement applied before')
    .option('--dry-run', 'write the files, change no placement')
    .option('--json', 'as one JSON object')
    .action(async (placement: string | undefined, options: ApplyCommandOptions) =>
      (await import('./apply.js')).applyPlacement(await settings(), placement, options),
    );
}

function keyCommands(keys: Command): void {
  keys
    .command('create')
    .description('create a key and print it, once')
    .requiredOption('--tenant <name>', 'tenant of the key')
    .option('--name <text>', 'description, such as its user', '')
    .option('--owner <name>', 'owner of its sessions, shared by keys of the same owner; default: the key itself')
    .option('--pipelines <names>', 'only these, separated by commas; default: all', asList)
    .option('--permissions <names>', 'run, read, approve, metrics, separated by commas', asList, ['run', 'read'])
    .option('--rate <number>', 'requests per second of this key alone, instead of its tenant’s', asRate)
    .option('--runs <number>', 'most concurrent runs of this key', asCount)
    .option('--expires <time>', 'after this time, such as 90d; default: never')
    .option('--json', 'print the key and its id as one JSON object')
    .action(async (options: CreateKeyOptions) => (await import('./keys.js')).createKey(await settings(), options));
  keys
    .command('list')
    .description('list the keys (by id; the file has only hashes) and their permissions')
    .option('--json', 'as one JSON array')
    .action(async (options: { json?: boolean }) => (await import('./keys.js')).listKeys(await settings(), options));
  keys
    .command('revoke')
    .description('revoke a key')
    .argument('<key>', 'its id, as listed by "millrace keys list"')
    .option('--after <time>', 'only after this time, such as 1d')
    .action(async (id: string, options: { after?: string }) =>
      (await import('./keys.js')).revokeKey(await settings(), id, options),
    );
}

function indexCommands(index: Command): void {
  index
    .command('put')
    .description('store passages in an index; one with the same id is replaced')
    .argument('<index>', 'name of the index; created if it does not exist')
    .argument('<file>', 'JSON Lines: {"id"?, "text", "metadata"?}, one passage per line')
    .option('--tenant <name>', 'tenant of the index', 'default')
    .option('--embedder <model>', 'the pool that embeds', 'minilm')
    .option('--json', 'print one JSON object')
    .action(async (name: string, file: string, options: IndexOptions) =>
      (await import('./index-command.js')).putPassages(await settings(), name, file, options),
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
      (await import('./index-command.js')).searchPassages(await settings(), name, query, options),
    );
}

function cacheCommands(cache: Command): void {
  cache
    .command('report')
    .description('error rates, thresholds and hit rates of the stages with a maxErrorRate')
    .option('--tenant <name>', 'tenant of the stages', 'default')
    .option('--json', 'print one JSON object')
    .action(async (options: CacheOptions) => (await import('./cache.js')).reportCache(await settings(), options));
  cache
    .command('inspect')
    .description('the cached texts near a text, and why they are no hits')
    .argument('<text>', 'a text as a stage would look it up')
    .option('--tenant <name>', 'tenant of the texts', 'default')
    .option('--embedder <model>', 'the pool that embeds', 'minilm')
    .option('--json', 'print one JSON object')
    .action(async (text: string, options: InspectOptions) =>
      (await import('./cache.js')).inspectCache(await settings(), text, options),
    );
}

function asRate(text: string): number {
  const rate = Number(text);
  if (rate > 0 && rate <= 100_000) return rate;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function asCosine(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= -1 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from -1 to 1.');
}

function asList(text: string): readonly string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (names.length > 0) return names;
  throw new InvalidArgumentError('It must name at least one.');
}

function asObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Falls through to the common error.
  }
  throw new InvalidArgumentError('It must be a JSON object, e.g. --input \'{"question":"Why?"}\'.');
}

/** Codes that mean that a server is unavailable, rather than that the request is wrong. */
const UNAVAILABLE = new Set([
  'GATEWAY_UNAVAILABLE',
  'ORCHESTRATOR_UNAVAILABLE',
  'STACK_START_FAILED',
  'STACK_PORT_IN_USE',
  'STACK_UNSUPPORTED',
  'STORE_UNAVAILABLE',
  'BACKEND_UNAVAILABLE',
]);

function exitCodeOf(error: unknown): number {
  if (error instanceof MillraceError) {
    if (UNAVAILABLE.has(error.code)) return EXIT.unavailable;
    return error.code.startsWith('INVALID_') ? EXIT.usage : EXIT.failed;
  }
  if (error instanceof ClientError) {
    if (UNAVAILABLE.has(error.code)) return EXIT.unavailable;
    return error.status >= 500 || error.run ? EXIT.failed : EXIT.usage;
  }
  return EXIT.failed;
}

try {
  await program().parseAsync();
} catch (error) {
  const { exitCode } = error as { exitCode?: unknown };
  if (typeof exitCode === 'number') {
    // commander has printed its message.
    process.exitCode = exitCode;
  } else {
    const code = error instanceof MillraceError || error instanceof ClientError ? error.code : undefined;
    complain(`millrace: ${code ? `${code}: ` : ''}${messageOf(error)}`);
    if (error instanceof ClientError) {
      for (const { field, message } of error.fields) complain(`  ${field}: ${message}`);
      if (error.status === 0) note('start a gateway with "millrace up"');
    }
    if (code === undefined && error instanceof Error && error.stack) note(error.stack);
    // Exit explicitly: handles opened before the error would keep the process alive.
    process.exit(exitCodeOf(error));
  }
}
