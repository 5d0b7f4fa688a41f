import type { Command } from 'commander';
import type { ApprovalListOptions, DecideOptions } from '../approvals.js';
import { asCount, asMoment, asObject, asPairs } from '../arguments.js';
import type { resumeRun, runPipeline } from '../run.js';
import type { ListOptions } from '../runs.js';
import type { LoadSettings } from './load-settings.js';

/** Commands that use a gateway: start, resume and list runs. */
export function runCommands(cli: Command, settings: LoadSettings): void {
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
    .option('--play', 'play the audio of the output while it is made; write it to a file if no player is installed')
    .option('--priority <priority>', 'interactive, default or batch')
    .option('--json', 'print the run as one JSON object')
    .action(async (name: string, options: Parameters<typeof runPipeline>[2]) =>
      (await import('../run.js')).runPipeline(await settings(), name, options),
    );
  cli
    .command('resume')
    .description('resume a run that failed, was cancelled or timed out; stages that had completed are not repeated')
    .argument('<run>', 'the id of the ended run')
    .option('--repeat', 'repeat steps that had ended if their results are not in the record')
    .option('--out <folder>', 'folder for media in the output', '.')
    .option('--tenant <name>', 'the tenant of the run')
    .option('--json', 'print the run as one JSON object')
    .action(async (id: string, options: Parameters<typeof resumeRun>[2]) =>
      (await import('../run.js')).resumeRun(await settings(), id, options),
    );
  listCommand(cli.command('runs'), settings);
  approvalCommands(cli, settings);
  cli
    .command('pipelines')
    .description('list the pipelines that the gateway serves')
    .option('--json', 'with their JSON Schemas')
    .action(async (options: { json?: boolean }) =>
      (await import('../run.js')).listPipelines(await settings(), options),
    );
}

function listCommand(runs: Command, settings: LoadSettings): void {
  runs
    .description('list runs: running ones, latest start first, then ended ones, latest end first')
    .option('--pipeline <name>', 'only runs of this pipeline')
    .option('--status <status>', 'running, succeeded, failed or cancelled')
    .option('--version <version>', 'only runs of this version of the plan')
    .option('--from <time>', 'started at this time or later: ISO 8601, or how long ago, such as 2h', asMoment)
    .option('--to <time>', 'started before this time, in the same form', asMoment)
    .option('--id <text>', 'only runs whose id begins with this')
    .option('--limit <number>', 'number of runs, up to 100; default: 20', asCount)
    .option('--cursor <cursor>', 'continue after the previous page; the filters must be the same')
    .option('--tenant <name>', 'the tenant of the runs')
    .option('--json', 'one page as one JSON object')
    .action(async (options: ListOptions) => (await import('../runs.js')).listRuns(await settings(), options));
}

function approvalCommands(cli: Command, settings: LoadSettings): void {
  cli
    .command('approvals')
    .description('list the open waits of runs that need a person’s decision')
    .option('--pipeline <name>', 'only runs of this pipeline')
    .option('--cursor <cursor>', 'continue after the previous page; the filters must be the same')
    .option('--tenant <name>', 'the tenant of the runs')
    .option('--json', 'one page as one JSON object')
    .action(async (options: ApprovalListOptions) =>
      (await import('../approvals.js')).listApprovals(await settings(), options),
    );
  for (const decision of ['approve', 'reject'] as const) {
    const command = cli
      .command(decision)
      .description(`${decision} an open wait of a run; "millrace approvals" lists them`)
      .argument('<run>', 'the id of the run')
      .argument('<nonce>', 'the nonce of the wait')
      .option('--by <name>', 'who decides; default: the name of this account')
      .option('--reason <text>', 'why; the model of an agent is told')
      .option('--tenant <name>', 'the tenant of the run')
      .option('--json', 'print the run as one JSON object');
    if (decision === 'approve')
      command
        .option('--arguments <json>', 'for a tool call: arguments that replace the model’s', asObject)
        .option('--content <json>', 'for a question: the fields of its form', asObject)
        .option('--scope <scope>', 'for a tool call: call, run or session, to approve later calls too');
    command.action(async (run: string, nonce: string, options: DecideOptions) =>
      (await import('../approvals.js')).decide(await settings(), decision, { run, nonce }, options),
    );
  }
}
