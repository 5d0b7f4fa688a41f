import type { Command } from 'commander';
import type { ApplyCommandOptions } from '../apply.js';
import { asList, asMs, asPairs, asWhole } from '../arguments.js';
import { importCommands } from '../import-command.js';
import type { InventoryCommandOptions } from '../inventory.js';
import type { OptimizeCommandOptions } from '../optimize.js';
import { optimizeOptions } from '../optimize-options.js';
import type { PlaceCommandOptions } from '../place.js';
import type { DayCommandOptions } from '../place-day.js';
import type { ExplainPlacementOptions } from '../place-explain.js';
import { dayOptions, placeOptions, replanOptions } from '../place-options.js';
import type { ProfileCommandOptions } from '../profile.js';
import { profileOptions } from '../profile-options.js';
import type { ReplanCommandOptions } from '../replan.js';
import type { LoadSettings } from './load-settings.js';

/** Commands that plan, measure and apply placements. */
export function placementCommands(cli: Command, settings: LoadSettings): void {
  applyCommand(cli.command('apply'), settings);
  const place = cli.command('place').description('decide where each stage runs, from files alone, and say why');
  placeOptions(place).action(async (options: PlaceCommandOptions) =>
    (await import('../place.js')).placePipelines(await settings(), options),
  );
  dayOptions(
    place
      .command('day')
      .description('decide which placement serves each hour of a day, what changes between them, and what that costs'),
  ).action(async (_: unknown, command: Command) =>
    (await import('../place-day.js')).placeDay(await settings(), command.optsWithGlobals<DayCommandOptions>()),
  );
  place
    .command('explain')
    .description('explain a placement on one screen: which limits bind, and what one more device would change')
    .argument('<placement>', 'the placement.json written by "millrace place --json", or a schedule.json of "place day"')
    .option('--cluster <file>', 'the inventory it was made for: adds prices and memory')
    .option('--hour <number>', 'of a schedule: the placement of this hour; default: the schedule itself', asWhole)
    .action(async (file: string, _: unknown, command: Command) =>
      (await import('../place-explain.js')).explainPlacement(file, command.optsWithGlobals<ExplainPlacementOptions>()),
    );
  replanOptions(
    cli
      .command('replan')
      .description('measure the current placement, report differences from its prediction, and propose another'),
  ).action(async (options: ReplanCommandOptions) =>
    (await import('../replan.js')).replanPlacement(await settings(), options),
  );
  cli
    .command('inventory')
    .description('write the devices of this machine, and the servers on it, to cluster.yaml')
    .option('--out <file>', 'the inventory; entries of other nodes are kept. "-" prints this node’s', 'cluster.yaml')
    .option('--node <name>', 'this machine’s name in it; default: its host name')
    .option('--nvidia-smi <program>', 'the program that lists GPUs', 'nvidia-smi')
    .option('--exporter <url>', 'the metrics of an exporter that lists this machine’s devices, in place of nvidia-smi')
    .option('--json', 'what was found as one JSON object')
    .action(async (options: InventoryCommandOptions) =>
      (await import('../inventory.js')).writeInventory(await settings(), options),
    );
  profileOptions(
    cli.command('profile').description('measure the latency of a pipeline’s models at their endpoints'),
  ).action(async (name: string, options: ProfileCommandOptions) =>
    (await import('../profile.js')).profilePipeline(await settings(), name, options),
  );
  optimizeOptions(
    cli
      .command('optimize')
      .description(
        'make the variants of a model that can be made here, measure their time, memory and quality, and write profiles',
      ),
  ).action(async (model: string, options: OptimizeCommandOptions) =>
    (await import('../optimize.js')).optimizeModel(await settings(), model, options),
  );
  importCommands(cli);
}

function applyCommand(apply: Command, settings: LoadSettings): void {
  apply
    .description('write the configuration of Triton, vLLM and Kubernetes for a placement, and use it for new runs')
    .argument('[placement]', 'the placement.json written by "millrace place", or a schedule.json of "place day"')
    .option('--hour <number>', 'of a schedule: the hour whose placement is applied', asWhole)
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
    .option(
      '--router <model=url>',
      'where the router of an LLM served apart answers, e.g. http://gpu1:8080; may be repeated',
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
      'switch only once every server has answered calls, waiting at most this long, e.g. 10m; else change nothing',
      asMs,
    )
    .option(
      '--services',
      'with --when-ready: call the servers of kubernetes.yaml at their Services, from a pod of their namespace',
    )
    .option('--rollback', 'restore the previously applied placement')
    .option('--dry-run', 'write the files without changing the placement')
    .option('--json', 'as one JSON object')
    .action(async (placement: string | undefined, options: ApplyCommandOptions) =>
      (await import('../apply.js')).applyPlacement(await settings(), placement, options),
    );
}
