import { type Artifact, parseArtifactUri } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';

/** Another tenant's address is `ARTIFACT_NOT_FOUND`, as if it did not exist. */
export function refuseForeign({ uri }: Artifact, tenant: string): void {
  if (parseArtifactUri(uri)?.tenant !== tenant) throw new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${uri}`);
}
