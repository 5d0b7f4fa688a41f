import { releaseOf } from '../workers/release.js';
import { print } from './output.js';

/** `millrace version`: prints the release, and nothing else. */
export const printRelease = (): void => print(releaseOf());

/**
 * Whether a command line is `millrace --version`. An option of the program would also be taken from `millrace runs`, which has a `--version`
 * of its own: that of a plan.
 * @param argv as Node has it, with the paths of Node and of the program
 */
export const asksForRelease = (argv: readonly string[]): boolean => argv.length === 3 && argv[2] === '--version';
