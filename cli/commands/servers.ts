import type { Command } from 'commander';
import type { demo } from '../demo.js';
import { EXIT } from '../output.js';
import type { LoadSettings } from './load-settings.js';

/** Commands that start, stop and check servers and processes. */
export function serverCommands(cli: Command, settings: LoadSettings): void {
  cli
    .command('up')
    .description('start the embedded stack or its missing parts; safe to repeat')
    .option('--servers-only', 'only Temporal, Redis, Triton and the LLM server: no worker, no gateway')
    .action(async (options: { serversOnly?: boolean }) => (await import('../stack.js')).up(await settings(), options));
  cli
    .command('down')
    .description('stop everything that "up" started')
    .action(async () => (await import('../stack.js')).down(await settings()));
  cli
    .command('status')
    .description(`show the parts, their pids, addresses and logs; exit ${EXIT.unavailable} unless all are ready`)
    .option('--json', 'as one JSON object')
    .action(async (options: { json?: boolean }) => (await import('../stack.js')).status(await settings(), options));
  cli
    .command('worker')
    .description('run a worker in the foreground: workflows and stages')
    .action(async () => (await import('../../workers/worker.js')).runWorker(await settings()));
  cli
    .command('gateway')
    .description('run the gateway in the foreground')
    .action(async () => (await import('../../workers/gateway.js')).runGateway(await settings()));
  cli
    .command('demo')
    .description('set up the stack, ask a spoken question twice and show the runs')
    .option('--audio <file>', 'your own question (WAV) instead of the included one')
    .option('--keep', 'leave the stack running')
    .option('--json', 'print one line of JSON at the end')
    .action(async (options: Parameters<typeof demo>[1]) =>
      (await import('../demo.js')).demo(await settings(), options),
    );
  cli
    .command('doctor')
    .description(`check settings, servers and models; exit ${EXIT.unavailable} if a server is unreachable`)
    .option('--json', 'as one JSON object')
    .action(async (options: { json?: boolean }) =>
      (await import('../doctor/index.js')).doctor({ ...options, config: cli.opts<{ config?: string }>().config }),
    );
  cli
    .command('settings')
    .description('list every setting with its default and its reason')
    .action(async () => (await import('../settings.js')).listSettings());
  cli
    .command('version')
    .description('print the release, as "millrace --version" does')
    .action(async () => (await import('../version.js')).printRelease());
}
