import path from 'node:path';
import { type ArtifactStore, openFileStore } from '../stores/artifacts/index.js';
import type { Settings } from './settings.js';

/** Folder of the artifact store, shared by worker and gateway. */
export const artifactsFolder = (settings: Settings): string => path.join(settings.MILLRACE_HOME, 'artifacts');

/** The artifact store: the configuration's, to which the limits do not apply, or the folder. */
export const openArtifacts = async (
  settings: Settings,
  limits: { readonly maxBytes?: number; readonly reserveBytes: number },
): Promise<ArtifactStore> =>
  settings.config.artifacts ??
  (await openFileStore(artifactsFolder(settings), {
    ...limits,
    tenantBytes: settings.MILLRACE_TENANT_ARTIFACT_BYTES || undefined,
  }));
