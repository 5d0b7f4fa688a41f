import path from 'node:path';
import { MillraceError } from '../../pipelines/errors.js';
import { type Policy, readPolicy } from '../../placement/auto/index.js';
import type { Located } from '../../placement/source/index.js';
import { withLock } from '../../runtime/file-lock.js';
import type { Settings } from '../../workers/settings.js';
import { interruptible } from '../interruptible.js';
import { read, wrongOption } from '../place-files.js';
import type { ReplanCommandOptions } from '../replan-measure.js';
import { besides } from './audit.js';
import { Automation } from './automation.js';
import { livePorts, type Watched } from './live-ports.js';

/** From one measurement to the next, unless `--every` says otherwise. */
const EVERY_MS = 60_000;

/**
 * The policy that `--auto within <file>` names. Throws `INVALID_INPUT` for other words and for a placement that new runs do not use, and
 * `INVALID_POLICY` for mistakes in the file.
 *
 * @param settings `MILLRACE_PLACEMENT` is the file that changes
 */
export async function readAuto(
  { auto = [], scheduled, placement: given }: Pick<ReplanCommandOptions, 'auto' | 'scheduled' | 'placement'>,
  { MILLRACE_PLACEMENT: used }: Settings,
): Promise<Located<Policy>> {
  const [within, file, ...more] = auto;
  if (within !== 'within' || file === undefined || more.length > 0) {
    throw wrongOption('--auto', 'write --auto within <file>, e.g. --auto within policy.yaml');
  }
  if (scheduled)
    throw wrongOption('--auto', 'a schedule changes the placement by the hour: leave --scheduled or --auto out');
  const policy = readPolicy(await read(file, 'INVALID_POLICY'), file);
  if (used === undefined || (given !== undefined && path.resolve(given) !== path.resolve(used))) {
    throw wrongOption(
      '--auto',
      'it changes the placement that new runs use: set MILLRACE_PLACEMENT, and leave --placement out',
    );
  }
  return policy;
}

export interface AutoOptions extends Watched {
  readonly policy: Located<Policy>;
}

/**
 * Watches the placement in force and changes it within a policy, until SIGTERM or SIGINT. Throws `PLACEMENT_LOCKED` if another process
 * does so, and `PLACEMENT_CHANGED` if somebody else changes the placement in the middle of a change.
 */
export async function replanWithin({ policy, file, ...rest }: AutoOptions): Promise<void> {
  const { lock } = besides(file);
  const taken = (pid: number): never => {
    const message = `process ${pid} changes ${file} automatically already: end it first, or leave the placement to it (${lock})`;
    throw new MillraceError('PLACEMENT_LOCKED', message);
  };
  await withLock(lock, taken, () =>
    interruptible((signal) => {
      const ports = livePorts({ ...rest, file, signal });
      return new Automation(policy.value, ports, rest.options.every ?? EVERY_MS).run();
    }),
  );
}
