/**
 * One side's worker in a process of its own: `node worker.js <ours|theirs> <address of Temporal>`. It answers `cpu`
 * with its CPU time.
 */
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { workerActivities } from '../../workers/activities.js';
import { workflowSource } from '../../workers/bundle.js';
import { composeStages } from '../../workers/compose.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import type { Activities } from './hand-written.js';
import { settings } from './settings.js';

const [side, address] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR') });
const common = {
  connection: await NativeConnection.connect({ address: address ?? '' }),
  taskQueue: side ?? '',
  maxConcurrentActivityTaskExecutions: 32,
  maxConcurrentLocalActivityExecutions: 32,
};

async function ours(): Promise<Worker> {
  // Log lines are produced as in production and discarded.
  const stages = await composeStages(settings, pino({ level: 'info' }, pino.destination('/dev/null')));
  return Worker.create({
    ...common,
    ...workflowSource(),
    activities: workerActivities(stages),
    sinks: workerSinks(stages),
  });
}

async function theirs(): Promise<Worker> {
  const same = async (input: { n: number }) => input;
  const names = ['first', 'second', 'third', 'fourth', 'one', 'two', 'three', 'four', 'five', 'six', 'spare'] as const;
  const activities = Object.fromEntries(names.map((name) => [name, same])) as Activities;
  return Worker.create({
    ...common,
    workflowsPath: fileURLToPath(new URL('./hand-written.js', import.meta.url)),
    activities,
  });
}

const worker = await (side === 'ours' ? ours() : theirs());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1_000 });
});
process.on('disconnect', () => worker.shutdown());
process.send?.('ready');
await worker.run();
process.exit();
