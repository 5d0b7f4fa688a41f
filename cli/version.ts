import { releaseOf } from '../workers/release.js';
import { print } from './output.js';

/** `millrace version`: prints the release, and nothing else. */
export const printRelease = (): void => print(releaseOf());
