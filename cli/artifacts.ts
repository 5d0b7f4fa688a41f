import { existsSync } from 'node:fs';
import { MillraceError } from '../pipelines/errors.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import { pruneArtifacts } from '../stores/artifacts/index.js';
import { artifactsFolder } from '../workers/artifacts.js';
import type { Settings } from '../workers/settings.js';
import { printJson, show } from './output.js';
import { requireTenant } from './require-tenant.js';

export interface PruneCommandOptions {
  /** Time since the last use, in milliseconds. */
  readonly olderThan: number;
  readonly tenant?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `millrace artifacts prune`: removes media that have not been used for a time. */
export async function pruneStore(settings: Settings, options: PruneCommandOptions): Promise<void> {
  const { olderThan, tenant, dryRun, json } = options;
  if (tenant !== undefined) requireTenant(tenant);
  if (settings.config.artifacts !== undefined) {
    const message = 'the configuration has an artifact store of its own: remove its media with its own tools';
    throw new MillraceError('INVALID_SETTING', message, { fields: [{ field: 'stores.artifacts', message }] });
  }
  const before = Date.now() - olderThan;
  const folder = artifactsFolder(settings);
  // In another folder than that of worker and gateway it would free nothing, and say so as if there were nothing to free.
  if (!existsSync(folder)) {
    throw invalidSetting(
      'MILLRACE_HOME',
      `there is no artifact store at ${folder}: name the folder of worker and gateway`,
    );
  }
  const pruned = await pruneArtifacts(folder, { before, tenant, dryRun });
  if (json) return printJson({ ...pruned, removed: !dryRun });
  const done = dryRun ? 'would be removed' : 'removed';
  show(`${folder}: ${pruned.files} artifacts (${(pruned.bytes / 1024 ** 2).toFixed(1)} MiB) ${done}`);
}
