import path from 'node:path';
import { scheduleText } from '../placement/day/index.js';
import { isSchedule, readSchedule } from '../placement/document/index.js';
import { explanation } from '../placement/explain/index.js';
import { show, table } from './output.js';
import { placementIn, read, readCluster } from './place-files.js';

export interface ExplainPlacementOptions {
  readonly cluster?: string;
  readonly hour?: number;
}

/** `millrace place explain`: why a placement is as it is, on one screen, or a schedule’s hours. Only files are read. */
export async function explainPlacement(file: string, { cluster, hour }: ExplainPlacementOptions): Promise<void> {
  const text = await read(file, 'INVALID_PLACEMENT');
  const name = path.basename(file);
  const inventory = async () => (cluster === undefined ? undefined : await readCluster(cluster));
  if (hour === undefined && isSchedule(text)) {
    show(scheduleText(readSchedule(text, name), await inventory(), table));
    return;
  }
  const placement = placementIn(text, name, hour);
  show(explanation(placement, await inventory(), table));
}
