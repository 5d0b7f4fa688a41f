import { patched } from '@temporalio/workflow';
import type { Change } from '../pipelines/run/index.js';

/** Whether this history takes a change: not where a worker of an earlier release has passed this place. */
export const takes = (change: Change): boolean => patched(change);
