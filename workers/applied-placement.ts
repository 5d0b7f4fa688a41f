import type { QueuesOf } from '../placement/queues.js';
import { queuesOf } from '../placement/queues.js';
import { WatchedFile } from '../runtime/watched-file.js';
import type { Logger } from '../telemetry/logger.js';
import { textOfSetting } from './setting-files.js';
import type { Settings } from './settings.js';

/**
 * Places the calls of pools by the currently applied placement. A run keeps the placement that it was started with.
 * Throws `INVALID_SETTING` and `INVALID_PLACEMENT`.
 */
export async function openPlacement(
  { MILLRACE_PLACEMENT: file, MILLRACE_TASK_QUEUE: queue }: Settings,
  logger: Logger,
): Promise<{ queuesOf: QueuesOf; close(): void }> {
  if (file === undefined) return { queuesOf: () => undefined, close: () => undefined };
  const { readPlacement } = await import('../placement/document/index.js');
  const watched = new WatchedFile(
    file,
    'placement',
    (name) => queuesOf(readPlacement(textOfSetting('MILLRACE_PLACEMENT', name), name), queue),
    logger,
  );
  return { queuesOf: (model) => watched.current(model), close: () => watched.close() };
}
