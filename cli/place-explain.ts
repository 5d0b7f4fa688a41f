import path from 'node:path';
import { readPlacement } from '../placement/document/index.js';
import { explanation } from '../placement/explain/index.js';
import { show, table } from './output.js';
import { read, readCluster } from './place-files.js';

export interface ExplainPlacementOptions {
  readonly cluster?: string;
}

/** `millrace place explain`: why a placement is as it is, on one screen. Only files are read. */
export async function explainPlacement(file: string, { cluster }: ExplainPlacementOptions): Promise<void> {
  const placement = readPlacement(await read(file, 'INVALID_PLACEMENT'), path.basename(file));
  show(explanation(placement, cluster === undefined ? undefined : await readCluster(cluster), table));
}
