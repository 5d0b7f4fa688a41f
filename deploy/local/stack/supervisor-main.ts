/**
 * The supervisor's process: `node supervisor-main.js HOME`. Runs the parts in `HOME/run/parts.json`, rereads that file
 * on SIGHUP, and stops all parts on SIGTERM or SIGINT. Its stdout and stderr are `HOME/logs/supervisor.log`.
 */
import { messageOf } from '../../../pipelines/errors.js';
import { readJson } from '../../../runtime/json-file.js';
import type { PartSpec } from './part-spec.js';
import { clearState, specsPath } from './stack-state.js';
import { Supervisor } from './supervisor.js';

const home = process.argv[2];
if (!home) throw new Error('usage: supervisor-main HOME');

const log = (text: string) => process.stdout.write(`${new Date().toISOString()} ${text}\n`);
const supervisor = new Supervisor(home);
/** Written by `up` of the same release just before. */
const wanted = () => (readJson(specsPath(home)) ?? []) as readonly PartSpec[];

let stopping = false;
async function stop(why: string, status: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  log(`stopping: ${why}`);
  await supervisor.stop();
  clearState(home as string);
  log('stopped');
  process.exit(status);
}

const end = (why: string, status: number) => {
  stop(why, status).catch((error) => {
    log(`stop failed: ${messageOf(error)}`);
    process.exit(1);
  });
};

process.on('SIGTERM', () => end('SIGTERM', 0));
process.on('SIGINT', () => end('SIGINT', 0));
process.on('SIGHUP', () => {
  if (stopping) return;
  log('reading the parts again');
  supervisor.add(wanted());
});
process.on('uncaughtException', (error) => {
  log(`error: ${error.stack ?? error.message}`);
  end('an error of the supervisor itself', 1);
});

log(`supervisor ${process.pid} of ${home}`);
supervisor.add(wanted());
