#!/usr/bin/env node
import { Command } from 'commander';
import { loadSettings } from '../workers/config/load.js';
import type { Settings } from '../workers/settings.js';
import { asksForRelease } from './arguments.js';
import { keyCommands } from './commands/keys.js';
import { modelCommands } from './commands/models.js';
import { pipelineCommands } from './commands/pipelines.js';
import { placementCommands } from './commands/placement.js';
import { runCommands } from './commands/runs.js';
import { serverCommands } from './commands/servers.js';
import { storeCommands } from './commands/stores.js';
import { exitCodeOf, printFailure } from './failure.js';
import { EXIT, endWhenWritten, endWithReader } from './output.js';
import { columnsOf, wrapped } from './wrap.js';

const HELP = `
Start here:
  millrace up                                start the servers, a worker and the gateway
  millrace pipelines                         what can be run, and with which input
  millrace run <pipeline> --input '{…}'      run one; --file <field>=<path> sends a file
  millrace status                            what runs where, and where its log is
  millrace down                              stop everything

Your own servers: set TEMPORAL_ADDRESS, REDIS_URL, TRITON_URL or LLM_BASE_URL; "up" then does not start that part.
Your own pipelines: set MILLRACE_PIPELINES to a module that exports them.
Every setting is an environment variable; "millrace settings" lists them with their defaults.
Configuration: millrace.config.ts in this folder holds settings, and connectors and doors of your own.

Exit codes: ${EXIT.ok} done · ${EXIT.failed} the run or command failed · ${EXIT.usage} wrong usage or input · ${EXIT.unavailable} a needed server cannot be reached or started`;

/**
 * Commands that end at once: they call no function of a pipeline. What the module of the pipelines has opened is of no use to `up`, nor to
 * `doctor` the connection of a check that was given up.
 */
const AT_ONCE: ReadonlySet<string> = new Set(['up', 'doctor']);

/** Of the command, once they are read. */
let loaded: Settings | undefined;

function program(): Command {
  const cli = new Command('millrace')
    .description('Runs inference pipelines that must not lose work.')
    .option('--config <file>', 'configuration file; default: MILLRACE_CONFIG, else millrace.config.ts in this folder')
    .showHelpAfterError('(run "millrace --help" for usage)')
    .configureOutput({
      getOutHelpWidth: () => columnsOf(process.stdout),
      getErrHelpWidth: () => columnsOf(process.stderr),
    })
    .addHelpText('after', wrapped(HELP, columnsOf(process.stdout)))
    // Not after --help, or a mistake in the arguments: nothing has been opened then.
    .hook('postAction', (_, command) => endWhenWritten(AT_ONCE.has(command.name()) ? 0 : undefined))
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : Object.assign(error, { exitCode: EXIT.usage });
    });
  const settings = async () => {
    loaded = await loadSettings(process.env, cli.opts<{ config?: string }>().config);
    return loaded;
  };
  serverCommands(cli, settings);
  modelCommands(cli, settings);
  runCommands(cli, settings);
  pipelineCommands(cli, settings);
  placementCommands(cli, settings);
  keyCommands(cli, settings);
  storeCommands(cli, settings);
  return cli;
}

endWithReader();
try {
  const cli = program();
  await (asksForRelease(process.argv) ? cli.parseAsync(['version'], { from: 'user' }) : cli.parseAsync());
} catch (error) {
  const { exitCode } = error as { exitCode?: unknown };
  if (typeof exitCode === 'number') {
    // commander has printed its message.
    process.exitCode = exitCode;
  } else {
    printFailure(error, loaded?.MILLRACE_GATEWAY_URL);
    process.exitCode = exitCodeOf(error);
    // At once: what was opened before the error is of no use.
    await endWhenWritten(0);
  }
}
